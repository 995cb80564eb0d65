// A chart: uPlot, told what to draw, in the colours of the page.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import type { Plot } from "../curves";
import { csv } from "../curves";
import { clock } from "../format";
import { useSay } from "../words";
import { save } from "./save";

export interface Moment {
  /** Milliseconds since 1970. */
  at: number;
  colour: string;
}

interface Given {
  title: string;
  plot: Plot;
  span: { from: number; to: number };
  height: number;
  /** How a value is written. */
  format: (value: number) => string;
  /** The lines are piled up, and filled down to the one below. */
  isPiled?: boolean;
  /** Without a legend: it stands elsewhere. */
  isBare?: boolean;
  /** The end of the scale, such as all memory. */
  most?: number | null;
  /** A line across. */
  limit?: number | null;
  marks?: Moment[];
  /** A span that is shaded. */
  shaded?: { from: number; to: number } | null;
  /** Charts of one name share their cursor. */
  together?: string;
  onZoom?: (from: number, to: number) => void;
  onPick?: (at: number) => void;
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim() || "gray";
}

/** The room of the values at the left, in pixels: all charts of a page begin at one line. */
const AXIS = 64;

export function Chart(given: Given) {
  const place = useRef<HTMLDivElement>(null);
  const drawn = useRef<uPlot | null>(null);
  const now = useRef(given);
  now.current = given;
  const say = useSay();
  const theme = document.documentElement.dataset["theme"] ?? "";
  const shape = given.plot.lines.map((line) => `${line.colour} ${line.label}`).join("\n");
  useEffect(() => {
    const room = place.current;
    if (!room) return;
    const chart = new uPlot(options(room.clientWidth, now), data(now.current.plot), room);
    drawn.current = chart;
    const watch = new ResizeObserver(() => {
      const width = room.clientWidth;
      if (width > 0 && width !== chart.width) chart.setSize({ width, height: now.current.height });
    });
    watch.observe(room);
    return () => {
      watch.disconnect();
      chart.destroy();
      drawn.current = null;
    };
  }, [shape, theme, given.isPiled, given.height]);
  useEffect(() => {
    const chart = drawn.current;
    if (!chart) return;
    chart.batch(() => {
      chart.setData(data(given.plot), false);
      chart.setScale("x", { min: given.span.from / 1000, max: given.span.to / 1000 });
    });
  });
  const words = { title: given.title, from: clock(given.span.from, 0), to: clock(given.span.to, 0) };
  return (
    <figure class="chart">
      <figcaption>
        <span>{given.title}</span>
        <span class="tools">
          <button type="button" onClick={() => savePicture(drawn.current, given.title)}>
            {say("chart.png")}
          </button>
          <button type="button" onClick={() => save(`${given.title}.csv`, new Blob([csv(given.plot)], { type: "text/csv" }))}>
            {say("chart.csv")}
          </button>
        </span>
      </figcaption>
      <div class="plot" role="img" aria-label={say("chart.summary", words)} ref={place} />
    </figure>
  );
}

function savePicture(chart: uPlot | null, title: string): void {
  if (!chart) return;
  const { canvas } = chart.ctx;
  const copy = document.createElement("canvas");
  copy.width = canvas.width;
  copy.height = canvas.height;
  const ink = copy.getContext("2d");
  if (!ink) return;
  ink.fillStyle = colour("paper");
  ink.fillRect(0, 0, copy.width, copy.height);
  ink.drawImage(canvas, 0, 0);
  copy.toBlob((blob) => blob && save(`${title}.png`, blob));
}

function data(plot: Plot): uPlot.AlignedData {
  return [plot.at, ...plot.lines.map((line) => line.values)];
}

function options(width: number, now: { current: Given }): uPlot.Options {
  const given = now.current;
  const lines = given.plot.lines;
  const ink = colour("ink-soft");
  const axis = {
    stroke: ink,
    font: "12px system-ui, sans-serif",
    grid: { stroke: colour("line"), width: 1 },
    ticks: { stroke: colour("line"), width: 1, size: 4 },
  };
  const line = (of: { label: string; colour: string }, place: number): uPlot.Series => {
    const fill = given.isPiled ? { fill: colour(of.colour) } : {};
    return {
      label: of.label,
      stroke: colour(of.colour),
      width: given.isPiled ? 0 : 1.6,
      points: { show: false },
      spanGaps: false,
      value: (_, value) => (value === null ? "–" : now.current.format(value - below(now.current, place))),
      ...fill,
    };
  };
  return {
    width,
    height: given.height,
    ...(given.together ? { cursor: cursor(now, given.together) } : { cursor: cursor(now, null) }),
    select: { show: true, left: 0, top: 0, width: 0, height: 0 },
    padding: [8, 20, 0, 0],
    legend: { show: !given.isBare, live: true },
    scales: {
      x: { time: true },
      y: { range: (_, __, high) => [0, ceiling(now.current, high)] },
    },
    axes: [{ ...axis, size: 28, space: 90, values: times }, { ...axis, size: AXIS, values: (_, splits) => splits.map((value) => now.current.format(value)), splits: splits }],
    series: [{ label: "", value: (_, at) => (at === null ? "–" : clock(at * 1000, Date.now())) }, ...lines.map(line)],
    ...(given.isPiled ? { bands: lines.slice(1).map((_, place) => ({ series: [place + 2, place + 1] as [number, number] })) } : {}),
    hooks: { draw: [(chart) => overlay(chart, now.current)], setSelect: [(chart) => zoom(chart, now.current)], ready: [(chart) => pick(chart, now)] },
  };
}

/** What is piled up below a line at the cursor is not its own. */
function below(given: Given, place: number): number {
  if (!given.isPiled || place === 0 || hovered === null) return 0;
  return given.plot.lines[place - 1]?.values[hovered] ?? 0;
}

let hovered: number | null = null;

function ceiling(given: Given, high: number | null): number {
  const most = Math.max(given.most ?? 0, given.limit ?? 0, high ?? 0);
  if (given.most && most <= given.most) return given.most;
  return most > 0 ? most * 1.08 : 1;
}

/** Round numbers of the units that bytes are told in, or of ten. */
function splits(chart: uPlot, _: number, low: number, high: number): number[] {
  const wanted = (high - low) / Math.max(2, chart.height / 48);
  let step = 1;
  if (high > 4096) {
    while (step * 2 <= wanted) step *= 2;
  } else {
    const ten = 10 ** Math.floor(Math.log10(wanted || 1));
    step = [10, 5, 2, 1].map((of) => of * ten).find((of) => of <= wanted) ?? ten;
  }
  const all: number[] = [];
  for (let at = 0; at <= high + step / 1e6; at += step) all.push(at);
  return all;
}

const two = (value: number): string => String(value).padStart(2, "0");

/** The time of day, seconds only where they tell something; the date at the first and where it changes. */
function times(_: uPlot, moments: number[], __: number, ___: number, step: number): string[] {
  let last = "";
  return moments.map((moment) => {
    const at = new Date(moment * 1000);
    const day = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    const time = `${two(at.getHours())}:${two(at.getMinutes())}${step < 60 ? `:${two(at.getSeconds())}` : ""}`;
    const isNew = day !== last && (last !== "" || step >= 3600);
    last = day;
    return step >= 86400 ? day : isNew ? `${day} ${time}` : time;
  });
}

function cursor(now: { current: Given }, together: string | null): uPlot.Cursor {
  return {
    y: false,
    drag: { x: now.current.onZoom !== undefined, y: false, setScale: false },
    dataIdx: (_, __, at) => {
      hovered = at;
      return at;
    },
    ...(together ? { sync: { key: together, setSeries: false } } : {}),
  };
}

function zoom(chart: uPlot, given: Given): void {
  const { left, width } = chart.select;
  if (width < 6 || !given.onZoom) return;
  const from = chart.posToVal(left, "x") * 1000;
  const to = chart.posToVal(left + width, "x") * 1000;
  chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  given.onZoom(from, to);
}

/** A click that is no drag chooses a moment. */
function pick(chart: uPlot, now: { current: Given }): void {
  let began = 0;
  chart.over.addEventListener("mousedown", (event) => (began = event.clientX));
  chart.over.addEventListener("click", (event) => {
    if (Math.abs(event.clientX - began) > 5) return;
    now.current.onPick?.(chart.posToVal(event.clientX - chart.over.getBoundingClientRect().left, "x") * 1000);
  });
}

/** What lies over the curves: a shaded span, a limit, moments. */
function overlay(chart: uPlot, given: Given): void {
  const { ctx: ink, bbox: box } = chart;
  ink.save();
  ink.beginPath();
  ink.rect(box.left, box.top, box.width, box.height);
  ink.clip();
  if (given.shaded) {
    const left = chart.valToPos(given.shaded.from / 1000, "x", true);
    const right = chart.valToPos(given.shaded.to / 1000, "x", true);
    ink.globalAlpha = 0.16;
    ink.fillStyle = colour("accent");
    ink.fillRect(left, box.top, Math.max(2, right - left), box.height);
    ink.globalAlpha = 1;
  }
  if (given.limit) {
    const top = Math.round(chart.valToPos(given.limit, "y", true)) + 0.5;
    across(ink, [box.left, top, box.left + box.width, top], "critical", [6, 4]);
  }
  for (const mark of given.marks ?? []) {
    const left = Math.round(chart.valToPos(mark.at / 1000, "x", true)) + 0.5;
    across(ink, [left, box.top, left, box.top + box.height], mark.colour, [3, 3]);
  }
  ink.restore();
}

function across(ink: CanvasRenderingContext2D, [x1, y1, x2, y2]: [number, number, number, number], name: string, dash: number[]): void {
  ink.strokeStyle = colour(name);
  ink.lineWidth = Math.max(1, devicePixelRatio) * 1.2;
  ink.setLineDash(dash.map((part) => part * devicePixelRatio));
  ink.beginPath();
  ink.moveTo(x1, y1);
  ink.lineTo(x2, y2);
  ink.stroke();
}
