// An owner: a unit, a container, a pod or a cgroup, how it is addressed, and which series are its own.

import type { Curve } from "./api";
import type { Line, Plot } from "./curves";
import { regular } from "./curves";
import { literal, quoted } from "./owners";
import { link, type Route } from "./route";

/** What tells one owner from all others: labels of its series, and so of its address. */
export interface Owner {
  kind: "unit" | "user-unit" | "session" | "container" | "pod" | "cgroup" | "machine";
  id: string;
  uid?: string;
  namespace?: string;
  container?: string;
  /** One of its cgroups, where that is known. */
  cgroup?: string;
}

const KINDS = ["unit", "user-unit", "session", "container", "pod", "cgroup", "machine"] as const;
const REST = ["uid", "namespace", "container", "cgroup"] as const;

/** The owner of these labels or keys; null of what is none, such as a file system. */
export function ownerOf(of: { kind?: unknown; id?: unknown; uid?: unknown; namespace?: unknown; container?: unknown; cgroup?: unknown }): Owner | null {
  const kind = KINDS.find((kind) => kind === of.kind);
  if (!kind || typeof of.id !== "string" || of.id === "") return null;
  const rest = REST.filter((name) => of[name] !== undefined && of[name] !== null && of[name] !== "").map((name) => [name, String(of[name])]);
  return { kind, id: of.id, ...Object.fromEntries(rest) };
}

/** The owner that the server's words name: `a.service of user 7`, `container b of pod c/d`, `/a/path`. */
export function ownerNamed(text: string, cgroup?: string): Owner | null {
  const place = cgroup ? { cgroup } : {};
  const users = /^(\S+) of user (\d+)$/.exec(text);
  if (users) return { kind: "user-unit", id: users[1] ?? "", uid: users[2] ?? "", ...place };
  const pods = /^container (.+) of pod ([^/\s]+)\/(\S+)$/.exec(text);
  if (pods) return { kind: "pod", id: pods[3] ?? "", namespace: pods[2] ?? "", container: pods[1] ?? "", ...place };
  const containers = /^container (.+)$/.exec(text);
  if (containers) return { kind: "container", id: containers[1] ?? "", ...place };
  if (text === "the machine") return { kind: "machine", id: "/" };
  if (text.startsWith("/")) return { kind: "cgroup", id: text };
  if (text === "" || /\s/.test(text)) return null;
  return { kind: /^session-.*\.scope$/.test(text) ? "session" : "unit", id: text, ...place };
}

/** The owner of a process, by the labels of its series. */
export function ownerOfProcess(labels: Record<string, string>): Owner | null {
  const { id = "", unit = "", container = "" } = labels;
  if (container) return { kind: "container", id: container, cgroup: id };
  const user = /\/user@(\d+)\.service\/./.exec(id);
  if (unit && user && unit !== `user@${user[1]}.service`) return { kind: "user-unit", id: unit, uid: user[1] ?? "", cgroup: id };
  return ownerNamed(unit || id, id);
}

/** Whether two are the same; a container's id may be cut short. */
export function isSame(a: Owner, b: Owner): boolean {
  const starts = a.kind === "container" && a.id.length >= 12 && b.id.length >= 12 && (a.id.startsWith(b.id) || b.id.startsWith(a.id));
  const rest = (["uid", "namespace", "container"] as const).every((name) => a[name] === undefined || b[name] === undefined || a[name] === b[name]);
  return a.kind === b.kind && (a.id === b.id || starts) && rest;
}

/** How an owner is called on one line. */
export function called(owner: Owner): string {
  switch (owner.kind) {
    case "user-unit":
      return owner.uid === undefined ? owner.id : `${owner.id} of user ${owner.uid}`;
    case "pod":
      return [owner.namespace, owner.id, owner.container].filter((part) => part !== undefined).join("/");
    default:
      return owner.id;
  }
}

export function ownerLink(owner: Owner, given: Record<string, string> = {}): string {
  return link("owner", null, { ...owner, ...given });
}

/** So much before a death, and after it, is shown of its owner. */
const BEFORE_MS = 3_600_000;
const AFTER_MS = 600_000;

/** The span around a death, and the moment before it, as an address has them. */
export const aroundDeath = (at: number): Record<string, string> => ({ from: String(at - BEFORE_MS), to: String(at + AFTER_MS), at: String(at - 1000) });

export const ownerAt = (route: Route): Owner | null => ownerOf(route.with);

/** Which sums of processes are the owner's. */
export function sums(owner: Owner): string {
  const { kind, id, uid, namespace, container } = owner;
  const isCut = kind === "container" && /^[0-9a-f]{12}$/.test(id);
  const rest = Object.entries({ uid, namespace, container }).filter(([, value]) => value !== undefined);
  const all = [`kind="${kind}"`, isCut ? `id=~"${id}.*"` : `id=${quoted(id)}`, ...rest.map(([name, value]) => `${name}=${quoted(value ?? "")}`)];
  return `{${all.join(",")}}`;
}

/** Which cgroups are the owner's or within its own; null where only its lives tell. */
export function cgroups(owner: Owner): string | null {
  const { kind, id, uid } = owner;
  switch (kind) {
    case "unit":
    case "session":
      return `unit=${quoted(id)}`;
    case "user-unit":
      return `unit=${quoted(id)}${uid === undefined ? "" : `,id=~".*/user@${uid}\\\\.service/.*"`}`;
    case "container":
      return `container=~"${literal(id)}.*"`;
    case "pod":
      return null;
    default:
      return `id=${quoted(id)}`;
  }
}

/** Of these paths those that are within no other of them. */
export function outermost(paths: string[]): string[] {
  const all = [...new Set(paths)].sort((a, b) => a.length - b.length);
  return all.filter((path, place) => !all.slice(0, place).some((outer) => outer === "/" || path.startsWith(`${outer}/`)));
}

/** All cgroups above these, the nearest first. */
export function above(paths: string[]): string[] {
  const all = paths.flatMap((path) => {
    const parts = path.split("/").slice(1, -1);
    return parts.map((_, place) => `/${parts.slice(0, parts.length - place).join("/")}`);
  });
  return [...new Set(all)].sort((a, b) => b.length - a.length);
}

/** A matcher of these cgroups. */
export const among = (paths: string[]): string => `id=~"${paths.map(literal).join("|")}"`;

/** A matcher of what is in these cgroups, however deep. */
export const within = (paths: string[]): string => `id=~"(${paths.map(literal).join("|")})(/.*)?"`;

/** Of what an owner's memory is made, in the order in which it is drawn. */
export const PARTS = ["anon", "shmem", "file", "slab", "tables", "stacks", "other"] as const;
export type Part = (typeof PARTS)[number];

const FIELDS = {
  container_memory_usage_bytes: "usage",
  container_memory_rss: "anon",
  container_memory_cache: "cache",
  highwater_cgroup_shmem_bytes: "shmem",
  highwater_cgroup_slab_reclaimable_bytes: "slab",
  highwater_cgroup_slab_unreclaimable_bytes: "slab",
  highwater_cgroup_page_tables_bytes: "tables",
  highwater_cgroup_kernel_stack_bytes: "stacks",
} as const;
type Field = (typeof FIELDS)[keyof typeof FIELDS];

/** One question for all of it. */
export const memoryOf = (paths: string[]): string => `{__name__=~"${Object.keys(FIELDS).join("|")}",${among(paths)}}`;

/** What makes up the usage: cached has shared memory in it, and what no field tells of is the kernel's. */
export function parts(of: Partial<Record<Field, number>>): Record<Part, number> {
  const { anon = 0, cache = 0, shmem = 0, slab = 0, tables = 0, stacks = 0 } = of;
  const file = Math.max(0, cache - shmem);
  const known = anon + shmem + file + slab + tables + stacks;
  return { anon, shmem, file, slab, tables, stacks, other: Math.max(0, (of.usage ?? known) - known) };
}

/** The kinds of memory at each moment, summed over the owner's cgroups. */
export function makeups(curves: Curve[]): Map<number, Record<Part, number>> {
  const sums = new Map<number, Partial<Record<Field, number>>>();
  for (const { labels, points } of curves) {
    const field = FIELDS[labels["__name__"] as keyof typeof FIELDS];
    if (!field) continue;
    for (const [at, value] of points) {
      const of = sums.get(at) ?? {};
      of[field] = (of[field] ?? 0) + value;
      sums.set(at, of);
    }
  }
  return new Map([...sums].sort(([a], [b]) => a - b).map(([at, of]) => [at, parts(of)]));
}

/** Memory by kind piled up; kinds that there never were are left out. The limits come after them. */
export function piledUp(curves: Curve[], limits: { label: string; curve: Map<number, number> }[], step: number, label: (part: Part) => string): Plot {
  const known = makeups(curves);
  const moments = regular([...known.keys()], step);
  const there = PARTS.filter((part) => [...known.values()].some((of) => of[part] > 0));
  const piles: Line[] = there.map((part, place) => ({
    label: label(part),
    colour: `kind-${part}`,
    values: moments.map((at) => {
      const of = known.get(at);
      return of ? there.slice(0, place + 1).reduce((sum, part) => sum + of[part], 0) : null;
    }),
  }));
  const lines: Line[] = limits.map(({ label, curve }, place) => ({
    label,
    colour: place === 0 ? "critical" : place === 1 ? "warning" : "line-strong",
    values: moments.map((at) => curve.get(at) ?? null),
    isLimit: true,
  }));
  return { at: moments.map((at) => at / 1000), lines: [...piles, ...lines] };
}

/** What these curves come to at each moment; nothing where one of them is without end. */
export function total(curves: Curve[]): Map<number, number> {
  const sum = new Map<number, number>();
  for (const { points } of curves) for (const [at, value] of points) sum.set(at, (sum.get(at) ?? 0) + value);
  return new Map([...sum].filter(([, value]) => Number.isFinite(value) && value > 0));
}
