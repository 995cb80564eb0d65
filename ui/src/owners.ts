// Who holds memory at a moment: the owners' sums, and the usage and limit of their cgroups.

import type { Sample } from "./api";

export interface Owner {
  kind: string;
  id: string;
  anon: number;
  /** Of its cgroup, page cache included. */
  usage: number | null;
  limit: number | null;
}

/** So many are asked for: more than a screen shows. */
const MOST = 15;

export const OWNERS = `topk(${MOST}, sum by (kind, id) (highwater_owner_resident_anon_bytes{kind!="other"}))`;
export const USAGES = '{__name__=~"container_memory_usage_bytes|container_spec_memory_limit_bytes"}';
export const PROCESSES = `topk(${MOST}, highwater_process_resident_anon_bytes)`;

/** Joins the owners with their cgroups. Of several cgroups of one unit the outermost is its own. */
export function owners(sums: Sample[], usages: Sample[]): Owner[] {
  const known = new Map<string, { path: string; usage: number | null; limit: number | null }>();
  const sorted = [...usages].sort((a, b) => path(a).length - path(b).length);
  for (const sample of sorted) {
    for (const name of names(sample)) {
      const of = known.get(name) ?? { path: path(sample), usage: null, limit: null };
      known.set(name, of);
      if (of.path !== path(sample)) continue;
      if (sample.labels["__name__"] === "container_memory_usage_bytes") of.usage = sample.value;
      else of.limit = Number.isFinite(sample.value) ? sample.value : null;
    }
  }
  return sums
    .map((sum) => {
      const { kind = "", id = "" } = sum.labels;
      const of = known.get(`${kind} ${id}`);
      return { kind, id, anon: sum.value, usage: of?.usage ?? null, limit: of?.limit ?? null };
    })
    .sort((a, b) => b.anon - a.anon);
}

const path = (sample: Sample): string => sample.labels["id"] ?? "";

/** The owners that a cgroup may be of, by kind and id. */
function names(sample: Sample): string[] {
  const { unit, container } = sample.labels;
  const all = [`cgroup ${path(sample)}`];
  if (unit) all.push(`unit ${unit}`, `user-unit ${unit}`, `session ${unit}`);
  if (container) all.push(`container ${container}`);
  return all;
}

/** A regular expression that is this text and nothing else, in a string of PromQL. */
export function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&").replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}

/** This text in a string of PromQL. */
export function quoted(text: string): string {
  return `"${text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")}"`;
}
