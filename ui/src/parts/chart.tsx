// A chart: uPlot, told what to draw, in the colours of the page.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { amounts, times } from "../axis";
import type { Line, Plot } from "../curves";
import { bounded, csv, lowest } from "../curves";
import { clock } from "../format";
import { svg } from "../svg";
import { useSay } from "../words";
import { picture, save } from "./save";

export interface Moment {
  /** Milliseconds since 1970. */
  at: number;
  colour: string;
  /** It is looked at: drawn otherwise than what happened. */
  isChosen?: boolean;
}

/** A span that is shaded in a colour of its own. */
export interface Band {
  from: number;
  to: number;
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
  bands?: Band[];
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

/** Names of so many signs stand two in a row on the smallest screen. */
const SHORT = 14;

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
    // What stands in the legend is of the new amounts, too.
    const moment = chart.cursor.idx ?? null;
    chart.setLegend({ idxs: chart.series.map(() => moment) });
  });
  const words = { title: given.title, from: clock(given.span.from, 0), to: clock(given.span.to, 0) };
  return (
    <figure class={given.plot.lines.every(({ label }) => label.length <= SHORT) ? "chart is-short" : "chart"}>
      <figcaption>
        <span>{given.title}</span>
        <Saves of={given} width={() => place.current?.clientWidth ?? WIDEST} />
      </figcaption>
      <div class="plot" role="img" aria-label={say("chart.summary", words)} ref={place} />
    </figure>
  );
}

/** Ways to take a chart along: as a picture that can be enlarged, as one of dots, as a table. */
function Saves({ of, width }: { of: Given; width: () => number }) {
  const say = useSay();
  const drawn = (): string => svg(pictured(of, width(), say("chart.limit")));
  const kinds = {
    SVG: () => save(`${of.title}.svg`, new Blob([drawn()], { type: "image/svg+xml" })),
    PNG: () => void picture(`${of.title}.png`, drawn()),
    CSV: () => save(`${of.title}.csv`, new Blob([csv(of.plot, of.isPiled)], { type: "text/csv" })),
  };
  return (
    <span class="tools">
      {Object.entries(kinds).map(([kind, act]) => (
        <button key={kind} type="button" aria-label={say("chart.save", { title: of.title, kind })} title={say("chart.save", { title: of.title, kind })} onClick={act}>
          {kind}
        </button>
      ))}
    </span>
  );
}

/** A file is wide enough for its words, whatever the window. */
const NARROWEST = 640;
const WIDEST = 1280;

function pictured(of: Given, width: number, limit: string) {
  return {
    title: of.title,
    plot: of.plot,
    span: of.span,
    width: Math.min(WIDEST, Math.max(NARROWEST, width)),
    height: Math.max(of.height, 160),
    isPiled: of.isPiled ?? false,
    most: ceiling(of),
    least: ground(of),
    format: of.format,
    colour,
    marks: of.marks ?? [],
    bands: shades(of),
    limit: isSet(of.limit) ? { value: of.limit, label: `${limit} ${of.format(of.limit)}` } : null,
  };
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
  const line = (of: Line, place: number): uPlot.Series => {
    const isFilled = given.isPiled && !of.isLimit;
    return {
      label: of.label,
      stroke: colour(of.colour),
      width: isFilled ? 0 : 1.6,
      points: { show: false },
      spanGaps: false,
      value: (_, __, ___, moment) => read(now.current, place, moment),
      ...(isFilled ? { fill: colour(of.colour) } : {}),
      ...(of.isLimit ? { dash: [6, 4] } : {}),
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
      y: { range: () => [ground(now.current), ceiling(now.current)] },
    },
    axes: [{ ...axis, size: 28, space: 90, values: (_, splits, __, ___, step) => times(splits, step) }, { ...axis, size: AXIS, values: (_, splits) => splits.map((value) => now.current.format(value)), splits: (chart, _, low, high) => amounts(high, chart.height / 36, low) }],
    series: [{ label: "", value: (_, at) => clock((at ?? newest(now.current.plot)) * 1000, Date.now()) }, ...lines.map(line)],
    ...(given.isPiled ? { bands: lines.filter((one) => !one.isLimit).slice(1).map((_, place) => ({ series: [place + 2, place + 1] as [number, number] })) } : {}),
    hooks: { draw: [(chart) => overlay(chart, now.current)], setSelect: [(chart) => zoom(chart, now.current)], ready: [(chart) => pick(chart, now)] },
  };
}

const lastOf = ({ values }: Line): number => values.findLastIndex((value) => value !== null);

/** The place of the newest amounts. */
const newestOf = ({ lines }: Plot): number => Math.max(...lines.map(lastOf));

/** When those were, in seconds. */
const newest = (plot: Plot): number => plot.at[newestOf(plot)] ?? Date.now() / 1000;

/** What ended so many readings before the newest one has no newest amount. */
const LATE = 3;

/** The amount at the cursor, the newest without one; what is piled up below a line is not its own. */
function read(given: Given, place: number, moment: number | null): string {
  const { lines } = given.plot;
  const line = lines[place];
  if (!line) return "–";
  const at = moment ?? lastOf(line);
  const isOver = moment === null && newestOf(given.plot) - at > LATE;
  const value = isOver ? null : (line.values[at] ?? null);
  const below = given.isPiled && !line.isLimit ? (lines[place - 1]?.values[at] ?? 0) : 0;
  return value === null ? "–" : given.format(value - below);
}

/** A limit may be 0. */
const isSet = (limit: number | null | undefined): limit is number => limit !== null && limit !== undefined;

const shades = ({ shaded, bands = [] }: Given): Band[] => (shaded ? [{ ...shaded, colour: "accent" }, ...bands] : bands);

/** The lower end of the scale: nothing, unless something is less. */
function ground(given: Given): number {
  return Math.min(0, given.limit ?? 0, lowest(given.plot)) * 1.08;
}

/** The upper end of the scale. */
function ceiling(given: Given): number {
  const most = Math.max(given.most ?? 0, given.limit ?? 0, bounded(given.plot));
  if (given.most && most <= given.most) return given.most;
  return most > 0 ? most * 1.08 : 1;
}

function cursor(now: { current: Given }, together: string | null): uPlot.Cursor {
  return {
    y: false,
    drag: { x: now.current.onZoom !== undefined, y: false, setScale: false },
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

/** What lies over the curves: shaded spans, a limit, moments. */
function overlay(chart: uPlot, given: Given): void {
  const { ctx: ink, bbox: box } = chart;
  ink.save();
  ink.beginPath();
  ink.rect(box.left, box.top, box.width, box.height);
  ink.clip();
  for (const band of shades(given)) shade(chart, band);
  if (isSet(given.limit)) {
    const top = Math.round(chart.valToPos(given.limit, "y", true)) + 0.5;
    across(ink, [box.left, top, box.left + box.width, top], "critical", [6, 4]);
  }
  for (const mark of [...(given.marks ?? [])].sort((a, b) => Number(b.isChosen ?? false) - Number(a.isChosen ?? false))) {
    const left = Math.round(chart.valToPos(mark.at / 1000, "x", true)) + 0.5;
    if (mark.isChosen) hold(ink, left, box, mark.colour);
    else across(ink, [left, box.top, left, box.top + box.height], mark.colour, [3, 3]);
  }
  ink.restore();
}

/** The moment that is looked at: broad and whole, held at its top, below the lines of what happened. */
function hold(ink: CanvasRenderingContext2D, left: number, box: uPlot.BBox, name: string): void {
  const wide = 2 * devicePixelRatio;
  ink.fillStyle = colour(name);
  ink.globalAlpha = 0.55;
  ink.fillRect(left - wide, box.top, wide * 2, box.height);
  ink.globalAlpha = 1;
  ink.beginPath();
  ink.moveTo(left - wide * 3, box.top);
  ink.lineTo(left + wide * 3, box.top);
  ink.lineTo(left, box.top + wide * 4);
  ink.fill();
}

function shade(chart: uPlot, { from, to, colour: name }: Band): void {
  const { ctx: ink, bbox: box } = chart;
  const left = chart.valToPos(from / 1000, "x", true);
  const right = chart.valToPos(to / 1000, "x", true);
  ink.globalAlpha = 0.16;
  ink.fillStyle = colour(name);
  ink.fillRect(left, box.top, Math.max(2, right - left), box.height);
  ink.globalAlpha = 1;
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
