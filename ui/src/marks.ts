// Marks on an axis, so many that each can be told from the next.

import type { Mark } from "./documents";

const WEIGHT: Record<Mark["kind"], number> = { death: 0, growth: 1, boot: 2, restart: 3, recorder: 4 };

/** A mark, and how many others stand at its place. */
export interface Shown {
  mark: Mark;
  others: number;
}

/** At each of so many places of a span the most important mark, oldest first. */
export function thinned(marks: Mark[], span: { from: number; to: number }, places: number): Shown[] {
  const wide = (span.to - span.from) / places;
  const kept = new Map<number, Shown>();
  for (const mark of marks) {
    const place = Math.floor((Date.parse(mark.at) - span.from) / wide);
    const there = kept.get(place);
    const isHeavier = !there || WEIGHT[mark.kind] < WEIGHT[there.mark.kind];
    kept.set(place, { mark: isHeavier ? mark : there.mark, others: there ? there.others + 1 : 0 });
  }
  return [...kept].sort(([a], [b]) => a - b).map(([, shown]) => shown);
}

export interface Group extends Shown {
  /** How many of all there are of its kind. */
  alike: number;
}

/** Marks that stand near each other as one, the most important at its own moment; oldest first. */
export function grouped(marks: Mark[], span: { from: number; to: number }, places: number): Group[] {
  const room = (span.to - span.from) / places;
  const all: (Group & { until: number })[] = [];
  for (const mark of [...marks].sort((a, b) => Date.parse(a.at) - Date.parse(b.at))) {
    const last = all.at(-1);
    if (!last || Date.parse(mark.at) > last.until) {
      all.push({ mark, alike: 1, others: 0, until: Date.parse(mark.at) + room });
      continue;
    }
    last.others += 1;
    if (mark.kind === last.mark.kind) last.alike += 1;
    if (WEIGHT[mark.kind] >= WEIGHT[last.mark.kind]) continue;
    last.mark = mark;
    last.alike = 1;
    last.until = Date.parse(mark.at) + room;
  }
  return all.map(({ mark, alike, others }) => ({ mark, alike, others }));
}
