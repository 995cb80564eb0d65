// The rules that run and how they stand, out of the Prometheus API.

import { get, number, type Curve, type Sample } from "./api";
import type { Mark } from "./documents";
import { clock } from "./format";

export type Labels = Record<string, string>;
export type Urgency = "critical" | "warning" | "info";

export interface Alert {
  labels: Labels;
  annotations: Labels;
  state: "pending" | "firing";
  activeAt: string;
  value: string;
}

export interface Rule {
  type: "alerting" | "recording";
  name: string;
  query: string;
  state?: "inactive" | "pending" | "firing";
  /** Seconds for which it has to match. */
  duration?: number;
  labels?: Labels;
  annotations?: Labels;
  alerts?: Alert[];
  health: string;
  lastError?: string;
  lastEvaluation: string;
}

export interface Group {
  name: string;
  file: string;
  interval: number;
  evaluationTime: number;
  lastEvaluation: string;
  rules: Rule[];
}

export interface Ruled {
  groups: Group[];
  /** What is wrong with rule files, so that they were not taken. */
  faults: string[];
}

export async function rules(signal?: AbortSignal): Promise<Ruled> {
  const reply = (await get("/api/v1/rules", signal)) as { data: { groups: Group[] }; warnings?: string[] };
  return { groups: reply.data.groups, faults: reply.warnings ?? [] };
}

/** An alert with the rule that made it. */
export interface Standing extends Alert {
  rule: Rule;
  urgency: Urgency;
  /** Since when it is as it is, in milliseconds. */
  since: number;
  number: number;
}

const ORDER: Record<Urgency, number> = { critical: 0, warning: 1, info: 2 };

export function urgency(labels: Labels | undefined): Urgency {
  const said = labels?.["severity"]?.toLowerCase() ?? "";
  if (/^(critical|page|error|emergency|fatal|high)/.test(said)) return "critical";
  return /^(info|none|low|debug)/.test(said) ? "info" : "warning";
}

/** All that are pending or fire: those that fire first, of those the most urgent, then the newest. */
export function standing(groups: Group[]): Standing[] {
  const all = groups.flatMap((group) => group.rules.flatMap((rule) => (rule.alerts ?? []).map((alert) => stands(rule, alert))));
  const rank = (one: Standing): number => (one.state === "firing" ? 0 : 10) + ORDER[one.urgency];
  return all.sort((a, b) => rank(a) - rank(b) || b.since - a.since);
}

function stands(rule: Rule, alert: Alert): Standing {
  const held = alert.state === "firing" ? (rule.duration ?? 0) * 1000 : 0;
  const since = Date.parse(alert.activeAt) + held;
  return { ...alert, rule, urgency: urgency(alert.labels), since, number: number(alert.value) };
}

/** Labels that say whom it is about: those that every alert of the rule has are said by the rule. */
export function whom(labels: Labels): [string, string][] {
  return Object.entries(labels).filter(([name]) => !SAID.has(name));
}

const SAID = new Set(["alertname", "severity", "alertstate", "__name__"]);

/** A stretch of time in which something was so. */
export interface Stretch {
  from: number;
  to: number;
  state: "pending" | "firing";
}

/** What became of one alert, or of all of one rule. */
export interface Row {
  name: string;
  labels: Labels;
  urgency: Urgency;
  stretches: Stretch[];
}

/** So far apart alerts are recorded: a step is no less, or they would seem to come and go. */
export function stepOf(groups: Group[], stepMs: number): number {
  const longest = Math.max(60, ...groups.map(({ interval }) => interval));
  return Math.max(stepMs, Math.ceil(longest / 60) * 60_000);
}

/** When alerts were recorded as pending and firing: in each step what was so within it. */
export const recorded = (stepMs: number): string => `max_over_time(ALERTS[${stepMs / 1000}s])`;

/** Curves that go on to a moment after their last step, in which these samples were. */
export function goneOn(curves: Curve[], samples: Sample[], at: number): Curve[] {
  const all = new Map(curves.map((curve) => [same(curve.labels), curve]));
  for (const { labels, value } of samples) {
    const points = all.get(same(labels))?.points ?? [];
    if (points.at(-1)?.[0] !== at) all.set(same(labels), { labels, points: [...points, [at, value]] });
  }
  return [...all.values()];
}

/** The answer to `recorded` as rows, those that fired last first. */
export function rows(curves: Curve[], stepMs: number): Row[] {
  const all = new Map<string, Row>();
  for (const { labels, points } of curves) {
    const { alertstate, __name__: _, ...own } = labels;
    const key = JSON.stringify(Object.entries(own).sort());
    const row = all.get(key) ?? { name: own["alertname"] ?? "", labels: own, urgency: urgency(own), stretches: [] };
    const state = alertstate === "firing" ? "firing" : "pending";
    row.stretches.push(...stretches(points.map(([at]) => at), stepMs, state));
    all.set(key, row);
  }
  return [...all.values()].sort((a, b) => last(b) - last(a) || a.name.localeCompare(b.name));
}

/** Moments, each the end of a step, as stretches. */
function stretches(moments: number[], stepMs: number, state: Stretch["state"]): Stretch[] {
  const all: Stretch[] = [];
  for (const at of moments) {
    const before = all.at(-1);
    if (before && at - before.to <= stepMs * 1.5) before.to = at;
    else all.push({ from: at - stepMs, to: at, state });
  }
  return all;
}

export function last(row: Row): number {
  const fired = row.stretches.filter(({ state }) => state === "firing");
  // One that only was pending comes after all that fired.
  if (fired.length === 0) return Math.max(...row.stretches.map(({ to }) => to)) - 1e13;
  return Math.max(...fired.map(({ to }) => to));
}

/** Alerts that fired and do not any more, those that ended last first. */
export function ended(all: Row[], now: Standing[]): { row: Row; stretch: Stretch }[] {
  const firing = new Set(now.filter(({ state }) => state === "firing").map(({ labels }) => same(labels)));
  const over = all.filter((row) => !firing.has(same(row.labels))).flatMap((row) => {
    const stretch = row.stretches.filter(({ state }) => state === "firing").sort((a, b) => b.to - a.to)[0];
    return stretch ? [{ row, stretch }] : [];
  });
  return over.sort((a, b) => b.stretch.to - a.stretch.to);
}

const same = (labels: Labels): string => JSON.stringify(Object.entries(labels).sort());

/** Stretches as they can be drawn in so many pixels: what would lie upon another is one. */
export function drawn(all: Stretch[], span: { from: number; to: number }, pixels: number): Stretch[] {
  const least = (span.to - span.from) / pixels;
  const within = all
    .filter(({ from, to }) => to >= span.from && from <= span.to)
    .map((one) => ({ ...one, from: Math.max(one.from, span.from), to: Math.min(one.to, span.to) }))
    .sort((a, b) => a.from - b.from);
  const merged: Stretch[] = [];
  for (const state of ["pending", "firing"] as const) {
    let before: Stretch | null = null;
    for (const one of within.filter((one) => one.state === state)) {
      if (before && one.from - before.to < least) {
        before.to = Math.max(before.to, one.to);
      } else {
        before = { ...one };
        merged.push(before);
      }
    }
  }
  return merged;
}

/** Whether an alert should have warned of it. */
export function isBad(mark: Mark): boolean {
  return mark.kind === "death" || mark.kind === "restart" || mark.kind === "growth";
}

/** `since 04:11:02`, for a moment that an API writes; nothing for one that never was. */
export function told(moment: string, now: number): string | null {
  const at = Date.parse(moment);
  return Number.isFinite(at) && at > 0 ? clock(at, now) : null;
}
