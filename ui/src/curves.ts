// Curves as a chart takes them: one list of moments, and for each curve a value or null at each.

import type { Curve } from "./api";
import { KINDS, makeups, type Kind } from "./memory";

export interface Line {
  label: string;
  /** A colour of the style sheet, without its dashes. */
  colour: string;
  values: (number | null)[];
  /** What may not be passed: never piled up, drawn with dashes. */
  isLimit?: boolean;
}

export interface Plot {
  /** Seconds since 1970. */
  at: number[];
  lines: Line[];
}

/** The widest step between readings over which a line is drawn on. */
const GAP = 2.5;

/** A step with about one point for two pixels, a whole number of readings. */
export function stepMs(span: { from: number; to: number }, pixels: number): number {
  const wanted = (span.to - span.from) / Math.max(60, pixels / 2);
  const known = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
  return (known.find((step) => step * 1000 >= wanted) ?? 86400) * 1000;
}

/** The curves on common moments, one every `step`: where one has no value there is none. */
export function plot(curves: Curve[], step: number, name: (curve: Curve) => { label: string; colour: string }): Plot {
  const moments = regular(curves.flatMap((curve) => curve.points.map(([at]) => at)), step);
  const lines = curves.map((curve) => {
    const values = new Map(curve.points);
    return { ...name(curve), values: moments.map((at) => finite(values.get(at))) };
  });
  return { at: moments.map((at) => at / 1000), lines };
}

const finite = (value: number | undefined): number | null =>
  value === undefined || !Number.isFinite(value) ? null : value;

/** All moments, and one more in each gap, so that no line is drawn across it. */
export function regular(all: number[], step: number): number[] {
  const sorted = [...new Set(all)].sort((a, b) => a - b);
  return sorted.flatMap((at, place) => {
    const before = sorted[place - 1];
    return before !== undefined && at - before > step * GAP ? [before + step, at] : [at];
  });
}

/** The kinds of memory piled up; each line is the sum of itself and those before it. */
export function piled(curves: Curve[], step: number, label: (kind: Kind) => string): Plot {
  const all = makeups(curves);
  const moments = regular(all.map(({ at }) => at), step);
  const known = new Map(all.map(({ at, of }) => [at, of]));
  const lines = KINDS.filter((kind) => kind !== "free").map((kind, place) => ({
    label: label(kind),
    colour: `kind-${kind}`,
    values: moments.map((at) => {
      const of = known.get(at);
      return of ? KINDS.slice(0, place + 1).reduce((sum, kind) => sum + of[kind], 0) : null;
    }),
  }));
  return { at: moments.map((at) => at / 1000), lines };
}

/** A limit is in the picture if this many times what is used reach it; else it would make that a line. */
const IN_REACH = 5;

/** The highest amount, and the highest limit that is in reach of it. */
export function bounded(plot: Plot): number {
  const highest = (lines: Line[]): number =>
    lines.reduce((most, line) => line.values.reduce<number>((most, value) => Math.max(most, value ?? 0), most), 0);
  const used = highest(plot.lines.filter((line) => !line.isLimit));
  const limits = plot.lines.filter((line) => line.isLimit).map((line) => highest([line]));
  return Math.max(used, ...limits.filter((limit) => limit <= used * IN_REACH));
}

/** The lowest amount. */
export function lowest(plot: Plot): number {
  return plot.lines.reduce((least, line) => line.values.reduce<number>((least, value) => Math.min(least, value ?? least), least), Infinity);
}

/** A table for a spreadsheet. A field that a spreadsheet could take for a formula is a text. */
export function csv(plot: Plot, isPiled = false): string {
  const head = ["time", ...plot.lines.map((line) => field(line.label))].join(",");
  const own = plot.lines.map((line, place) => {
    const below = isPiled && !line.isLimit ? plot.lines[place - 1] : undefined;
    return below ? line.values.map((value, at) => (value === null ? null : value - (below.values[at] ?? 0))) : line.values;
  });
  const rows = plot.at.map((at, place) => [new Date(at * 1000).toISOString(), ...own.map((values) => values[place] ?? "")].join(","));
  return [head, ...rows, ""].join("\n");
}

function field(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replace(/"/g, '""')}"`;
}
