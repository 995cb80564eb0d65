// A backtest as the page shows it: what its document says, and what of it is drawn.

import { urgency, type Row, type Stretch } from "./alerting";
import type { Curve } from "./api";
import type { Claim, Evidence } from "./documents";
import { literal } from "./owners";

type Labels = Record<string, string>;

export interface Condition {
  left: string;
  op: string;
  right: string;
  bound: string | null;
}

export interface Life {
  labels: Labels;
  pending_at: string;
  fired_at: string | null;
  ended_at: string | null;
  value: string;
}

export interface Tried {
  alert: string;
  file: string;
  group: string;
  line: number;
  expr: string;
  conditions: Condition[];
  for_seconds: number;
  step_seconds: number;
  fired: boolean;
  alerts: Life[];
  alerts_left_out: number;
  why_not: { kind: string; text: string; evidence: Evidence[] }[];
}

export interface Warned {
  alert: string;
  labels: Labels;
  fired_at: string | null;
  lead_seconds: number | null;
  late_seconds: number | null;
}

export interface Incident {
  kind: "death" | "restart" | "growth";
  owner: string;
  labels: Labels;
  moments: { at: string; down_seconds: number | null }[];
  note: string;
  warned: Warned[];
}

export interface Backtest {
  from: string;
  to: string;
  scrape_seconds?: number;
  rules: Tried[];
  incidents: Incident[];
  notes: string[];
}

/** How a rule is called that was typed. */
export const TYPED = "typed";

/** Whether all that is the matter with it is that nothing it asks for is on record. */
export function isBlind(rule: Tried): boolean {
  return !rule.fired && rule.why_not.length > 0 && rule.why_not.every(({ kind }) => kind === "no-series");
}

/** The alerts of a rule as stretches on the axis. */
export function stretches(rule: Tried, to: number): Stretch[] {
  return rule.alerts.flatMap((life) => {
    const end = life.ended_at === null ? to : Date.parse(life.ended_at);
    const fired = life.fired_at === null ? null : Date.parse(life.fired_at);
    const pending: Stretch = { from: Date.parse(life.pending_at), to: fired ?? end, state: "pending" };
    return fired === null ? [pending] : [pending, { from: fired, to: end, state: "firing" as const }];
  });
}

/** Rules as rows: those that fired, the earliest first. */
export function rows(of: Backtest): (Row & { rule: Tried })[] {
  const to = Date.parse(of.to);
  const first = (rule: Tried): number => Math.min(...rule.alerts.map((life) => Date.parse(life.fired_at ?? of.to)));
  return of.rules
    .filter((rule) => rule.fired)
    .sort((a, b) => first(a) - first(b))
    .map((rule) => {
      const labels = rule.alerts[0]?.labels ?? {};
      return { rule, name: rule.alert, labels, urgency: urgency(labels), stretches: stretches(rule, to) };
    });
}

/** The best that each rule did for an incident: the longest before, then the least late. */
export function best(incident: Incident): Warned[] {
  const all = new Map<string, Warned>();
  const worth = (one: Warned): number => one.lead_seconds ?? -(one.late_seconds ?? Infinity);
  for (const one of incident.warned) {
    const known = all.get(one.alert);
    if (!known || worth(one) > worth(known)) all.set(one.alert, one);
  }
  return [...all.values()].sort((a, b) => worth(b) - worth(a));
}

/** Whether anybody was warned before it began. */
export function isForetold(incident: Incident): boolean {
  return incident.warned.some(({ lead_seconds: lead }) => lead !== null && lead > 0);
}

/** Which incidents a rule warned of, and how. */
export function warnings(of: Backtest, rule: Tried): { incident: Incident; warned: Warned }[] {
  return of.incidents.flatMap((incident) => {
    const warned = best(incident).find(({ alert }) => alert === rule.alert);
    return warned ? [{ incident, warned }] : [];
  });
}

/** The rule that is shown first: who warned the longest before, or else the first that is not blind. */
export function foremost(of: Backtest): Tried | null {
  const leads = of.incidents.flatMap((incident) => incident.warned);
  const longest = leads.filter((one) => one.lead_seconds !== null).sort((a, b) => (b.lead_seconds ?? 0) - (a.lead_seconds ?? 0))[0];
  const named = of.rules.find((rule) => rule.alert === longest?.alert);
  return named ?? of.rules.find((rule) => rule.fired) ?? of.rules.find((rule) => !isBlind(rule)) ?? of.rules[0] ?? null;
}

/** The condition that a picture shows: the first whose bound is a number, or else the first. */
export function shown(rule: Tried): Condition | null {
  return rule.conditions.find((condition) => bound(condition) !== null) ?? rule.conditions[0] ?? null;
}

export function bound(condition: Condition): number | null {
  const value = condition.bound === null ? NaN : Number(condition.bound);
  return Number.isFinite(value) ? value : null;
}

/** So many curves are drawn: the nearest to the bound, and those that alerts are about. */
const CURVES = 8;

/** The curves that matter to a condition, those that came the nearest to its bound first. */
export function nearest(curves: Curve[], condition: Condition, rule: Tried): Curve[] {
  const isBelow = condition.op.startsWith("<");
  const told = rule.alerts.map(({ labels }) => labels);
  const isTold = (curve: Curve): boolean => told.some((labels) => agree(curve.labels, labels));
  const edge = (curve: Curve): number => {
    const values = curve.points.map(([, value]) => value).filter(Number.isFinite);
    return values.length === 0 ? -Infinity : isBelow ? -low(values) : -low(values.map((value) => -value));
  };
  const ranked = curves.map((curve) => ({ curve, isTold: isTold(curve), edge: edge(curve) }));
  ranked.sort((a, b) => Number(b.isTold) - Number(a.isTold) || b.edge - a.edge);
  return ranked.slice(0, CURVES).map(({ curve }) => curve);
}

const low = (values: number[]): number => values.reduce((least, value) => Math.min(least, value), Infinity);

/** Whether all that both say is the same, and they say something in common. */
function agree(curve: Labels, alert: Labels): boolean {
  const common = Object.keys(curve).filter((name) => name !== "__name__" && name in alert);
  return common.every((name) => curve[name] === alert[name]) && (common.length > 0 || Object.keys(curve).length === 0);
}

/** What tells curves apart: of each only the labels in which they differ. */
export function apart(all: Labels[]): string[] {
  const names = [...new Set(all.flatMap((labels) => Object.keys(labels)))].filter((name) => name !== "__name__");
  const differing = names.filter((name) => new Set(all.map((labels) => labels[name] ?? "")).size > 1);
  const told = differing.length > 0 ? differing : ["name", "unit", "container", "instance", "id"].filter((name) => names.includes(name)).slice(0, 1);
  return all.map((labels) => told.map((name) => labels[name] ?? "").filter((value) => value !== "").join(" · "));
}

export const LIMIT = "container_spec_memory_limit_bytes";

/** The memory and the limits of the owners that a rule of growth speaks of, as one question. */
export function memoryOf(rule: Tried): string | null {
  const ids = [...new Set(rule.alerts.filter(({ labels }) => "resource" in labels).map(({ labels }) => labels["id"] ?? ""))];
  const named = ids.filter((id) => id !== "").slice(0, 8);
  if (named.length === 0) return null;
  return `{__name__=~"container_memory_rss|${LIMIT}",id=~"${named.map(literal).join("|")}"}`;
}

export const claim = ({ text, evidence }: Tried["why_not"][number]): Claim => ({ text, evidence });

/** What is asked of the server; empty parameters are not asked. */
export function path(given: Record<string, string>): string {
  const form = new URLSearchParams(Object.entries(given).filter(([, value]) => value !== ""));
  return `backtest?${form}`;
}
