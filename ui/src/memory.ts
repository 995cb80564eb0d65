// What a machine's memory is made of, out of the numbers of /proc/meminfo as node_memory_*.

import type { Curve, Sample } from "./api";

/** The kinds of memory, in the order in which they are drawn: the hardest to get back first. */
export const KINDS = ["anon", "shmem", "file", "slab", "tables", "stacks", "other", "free"] as const;
export type Kind = (typeof KINDS)[number];
export type Makeup = Record<Kind, number>;

const FIELDS = [
  "MemTotal",
  "MemFree",
  "AnonPages",
  "Shmem",
  "Cached",
  "Buffers",
  "Slab",
  "PageTables",
  "KernelStack",
] as const;
type Field = (typeof FIELDS)[number];

/** One question for all of it. */
export const MEMORY = `{__name__=~"node_memory_(${FIELDS.join("|")})_bytes"}`;

const NAME = /^node_memory_(\w+)_bytes$/;

function field(labels: Record<string, string>): Field | null {
  const name = NAME.exec(labels["__name__"] ?? "")?.[1];
  return FIELDS.find((field) => field === name) ?? null;
}

/**
 * The make-up of these numbers; null without the total. Cached has shared memory in it, which nobody
 * can give back; what no field accounts for is other memory of the kernel.
 */
export function makeup(of: Partial<Record<Field, number>>): Makeup | null {
  const { MemTotal: total, MemFree: free } = of;
  if (total === undefined || free === undefined) return null;
  const shmem = of.Shmem ?? 0;
  const known = {
    anon: of.AnonPages ?? 0,
    shmem,
    file: Math.max(0, (of.Cached ?? 0) - shmem) + (of.Buffers ?? 0),
    slab: of.Slab ?? 0,
    tables: of.PageTables ?? 0,
    stacks: of.KernelStack ?? 0,
    free,
  };
  const sum = Object.values(known).reduce((sum, part) => sum + part, 0);
  return { ...known, other: Math.max(0, total - sum) };
}

export function makeupOf(samples: Sample[]): Makeup | null {
  const of: Partial<Record<Field, number>> = {};
  for (const sample of samples) {
    const name = field(sample.labels);
    if (name) of[name] = sample.value;
  }
  return makeup(of);
}

export function total(of: Makeup): number {
  return KINDS.reduce((sum, kind) => sum + of[kind], 0);
}

/** The make-up at each moment of these curves. */
export function makeups(curves: Curve[]): { at: number; of: Makeup | null }[] {
  const moments = new Map<number, Partial<Record<Field, number>>>();
  for (const curve of curves) {
    const name = field(curve.labels);
    if (!name) continue;
    for (const [at, value] of curve.points) {
      const of = moments.get(at) ?? {};
      of[name] = value;
      moments.set(at, of);
    }
  }
  return [...moments].sort(([a], [b]) => a - b).map(([at, of]) => ({ at, of: makeup(of) }));
}
