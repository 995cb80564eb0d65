// A chart as a file of its own: title, legend, axes, curves and limits, in SVG that needs nothing else.

import { amounts, moments, times } from "./axis";
import type { Line, Plot } from "./curves";
import { plain, utc } from "./format";

export interface Picture {
  title: string;
  plot: Plot;
  span: { from: number; to: number };
  width: number;
  height: number;
  isPiled: boolean;
  /** The upper end of the scale. */
  most: number;
  /** Its lower end. */
  least: number;
  format: (value: number) => string;
  /** The value of a colour of the style sheet. */
  colour: (name: string) => string;
  marks: { at: number; colour: string; isChosen?: boolean }[];
  /** Spans that are shaded. */
  bands: { from: number; to: number; colour: string }[];
  /** A limit that no curve tells of. */
  limit: { value: number; label: string } | null;
}

const LEFT = 84;
const RIGHT = 24;
const BELOW = 46;
const ROW = 18;
const FONT = "ui-sans-serif, system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif";

/** So wide a sign is taken to be, at most. */
const SIGN = 7.6;
/** So much of a name is written. */
const LONGEST = 90;

/** Text between tags and in attributes: never markup, and no sign that XML does not know. */
export function escaped(text: string): string {
  const signs: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return plain(text).replace(/[&<>"']/g, (sign) => signs[sign] ?? "");
}

const cut = (text: string): string => ([...text].length > LONGEST ? `${[...text].slice(0, LONGEST).join("")}…` : text);

interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

export function svg(of: Picture): string {
  const entries = legend(of);
  const rows = (entries.at(-1)?.row ?? -1) + 1;
  const box = { left: LEFT, top: 44 + rows * ROW, width: of.width - LEFT - RIGHT, height: of.height };
  const tall = box.top + box.height + BELOW;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${of.width} ${tall}" width="${of.width}" height="${tall}" role="img" font-family="${FONT}" font-size="12">`,
    `<title>${escaped(of.title)}</title>`,
    `<rect width="100%" height="100%" fill="${of.colour("paper")}"/>`,
    `<text x="16" y="27" font-size="15" font-weight="600" fill="${of.colour("ink")}">${escaped(cut(of.title))}</text>`,
    ...entries.map((entry) => keyed(entry, of)),
    ...grid(of, box),
    `<clipPath id="place"><rect x="${box.left}" y="${box.top}" width="${box.width}" height="${box.height}"/></clipPath>`,
    `<g clip-path="url(#place)">`,
    ...curves(of, box),
    ...overlay(of, box),
    "</g>",
    `<text x="${of.width - RIGHT}" y="${tall - 8}" text-anchor="end" font-size="11" fill="${of.colour("ink-soft")}">${utc(of.span.from)} – ${utc(of.span.to)} · highwater</text>`,
    "</svg>",
  ];
  return parts.join("\n");
}

interface Entry {
  label: string;
  colour: string;
  isLimit: boolean;
  x: number;
  row: number;
}

/** Where the names of the curves stand: as many in a row as have room. */
function legend(of: Picture): Entry[] {
  let x = 16;
  let row = 0;
  const told = of.plot.lines.map((line) => ({ label: line.label, colour: line.colour, isLimit: line.isLimit === true }));
  if (of.limit) told.push({ label: of.limit.label, colour: "critical", isLimit: true });
  return told
    .filter(({ label }) => label !== "")
    .map((entry) => {
      const label = cut(entry.label);
      const wide = 26 + [...label].reduce((sum, sign) => sum + (sign > "\u2e80" ? 13 : SIGN), 0);
      if (x > 16 && x + wide > of.width - RIGHT) {
        x = 16;
        row += 1;
      }
      const placed = { ...entry, label, x, row };
      x += wide + 10;
      return placed;
    });
}

function keyed({ label, colour, isLimit, x, row }: Entry, of: Picture): string {
  const y = 46 + row * ROW;
  const paint = of.colour(colour);
  const key = isLimit
    ? `<path d="M${x} ${y}h16" stroke="${paint}" stroke-width="2" stroke-dasharray="5 3" fill="none"/>`
    : `<rect x="${x}" y="${y - 6}" width="12" height="12" rx="2.5" fill="${paint}"/>`;
  return `${key}<text x="${x + 21}" y="${y + 4}" fill="${of.colour("ink-soft")}">${escaped(label)}</text>`;
}

function grid(of: Picture, box: Box): string[] {
  const { all, step } = moments(of.span.from / 1000, of.span.to / 1000, box.width / 110);
  const words = times(all, step);
  const [line, ink] = [of.colour("line"), of.colour("ink-soft")];
  const upright = all.map((at, place) => {
    const x = across(of, box, at * 1000);
    return `<path d="M${x} ${box.top}V${round(box.top + box.height)}" stroke="${line}"/><text x="${x}" y="${round(box.top + box.height + 17)}" text-anchor="middle" fill="${ink}">${escaped(words[place] ?? "")}</text>`;
  });
  const level = amounts(of.most, box.height / 36, of.least).map((value) => {
    const y = up(of, box, value);
    return `<path d="M${box.left} ${y}h${box.width}" stroke="${line}"/><text x="${box.left - 8}" y="${y + 4}" text-anchor="end" fill="${ink}">${escaped(of.format(value))}</text>`;
  });
  return [...upright, ...level];
}

const round = (value: number): number => Math.round(value * 10) / 10;
const across = (of: Picture, box: Box, at: number): number => round(box.left + ((at - of.span.from) / (of.span.to - of.span.from)) * box.width);
const up = (of: Picture, box: Box, value: number): number => round(box.top + box.height * (1 - (value - of.least) / (of.most - of.least)));

/** The curves; of those that are piled up the highest first, so that each covers what is not its own. */
function curves(of: Picture, box: Box): string[] {
  const amounts = of.plot.lines.filter((line) => !line.isLimit);
  const limits = of.plot.lines.filter((line) => line.isLimit);
  const drawn = of.isPiled ? [...amounts].reverse().map((line) => area(line, of, box)) : amounts.map((line) => stroke(line, of, box, ""));
  return [...drawn, ...limits.map((line) => stroke(line, of, box, ' stroke-dasharray="6 4"'))];
}

/** The runs of a curve between its gaps, as points. */
function runs(line: Line, of: Picture, box: Box): [number, number][][] {
  const all: [number, number][][] = [[]];
  line.values.forEach((value, place) => {
    if (value === null) {
      if (all.at(-1)?.length) all.push([]);
      return;
    }
    all.at(-1)?.push([across(of, box, (of.plot.at[place] ?? 0) * 1000), up(of, box, value)]);
  });
  return all.filter((run) => run.length > 0);
}

const path = (run: [number, number][]): string => `M${run.map(([x, y]) => `${x} ${y}`).join("L")}`;

function stroke(line: Line, of: Picture, box: Box, dash: string): string {
  const all = runs(line, of, box).map(path).join("");
  return `<path d="${all}" fill="none" stroke="${of.colour(line.colour)}" stroke-width="1.6" stroke-linejoin="round"${dash}/>`;
}

function area(line: Line, of: Picture, box: Box): string {
  const ground = round(box.top + box.height);
  const closed = (run: [number, number][]): string => `${path(run)}V${ground}H${run[0]?.[0] ?? 0}Z`;
  return `<path d="${runs(line, of, box).map(closed).join("")}" fill="${of.colour(line.colour)}"/>`;
}

function overlay(of: Picture, box: Box): string[] {
  const parts: string[] = [];
  for (const band of of.bands) {
    const [left, right] = [across(of, box, band.from), across(of, box, band.to)];
    parts.push(`<rect x="${left}" y="${box.top}" width="${Math.max(2, round(right - left))}" height="${box.height}" fill="${of.colour(band.colour)}" opacity="0.16"/>`);
  }
  if (of.limit) {
    parts.push(`<path d="M${box.left} ${up(of, box, of.limit.value)}h${box.width}" stroke="${of.colour("critical")}" stroke-width="1.6" stroke-dasharray="6 4"/>`);
  }
  for (const mark of of.marks) {
    parts.push(`<path d="M${across(of, box, mark.at)} ${box.top}v${box.height}" stroke="${of.colour(mark.colour)}" ${mark.isChosen ? 'stroke-width="3" opacity="0.6"' : 'stroke-width="1.2" stroke-dasharray="3 3"'}/>`);
  }
  return parts;
}
