import { describe, expect, it } from "vitest";

import { apart, best, bound, foremost, isBlind, isForetold, memoryOf, nearest, path, rows, shown, stretches, type Backtest, type Incident, type Tried } from "./backtest";

const rule = (alert: string, given: Partial<Tried> = {}): Tried => ({
  alert,
  file: "f",
  group: "g",
  line: 1,
  expr: "x > 5",
  conditions: [{ left: "x", op: ">", right: "5", bound: "5" }],
  for_seconds: 0,
  step_seconds: 60,
  fired: false,
  alerts: [],
  alerts_left_out: 0,
  why_not: [],
  ...given,
});

const life = (pending: string, fired: string | null, ended: string | null, labels = {}) => ({
  labels: { alertname: "A", ...labels },
  pending_at: `2026-11-22T${pending}:00Z`,
  fired_at: fired && `2026-11-22T${fired}:00Z`,
  ended_at: ended && `2026-11-22T${ended}:00Z`,
  value: "1",
});

const warned = (alert: string, lead: number | null, late: number | null = null) => ({ alert, labels: {}, fired_at: null, lead_seconds: lead, late_seconds: late });

const incident = (all: Incident["warned"]): Incident => ({ kind: "death", owner: "o", labels: {}, moments: [], note: "", warned: all });

const at = (time: string): number => Date.parse(`2026-11-22T${time}:00Z`);

const document = (rules: Tried[], incidents: Incident[]): Backtest => ({
  from: "2026-11-22T00:00:00Z",
  to: "2026-11-22T09:00:00Z",
  rules,
  incidents,
  notes: [],
});

describe("what a rule did", () => {
  it("is drawn from its first match to its end, or to the end of all", () => {
    const of = rule("A", { alerts: [life("01:00", "02:00", "03:00"), life("04:00", null, "04:30"), life("05:00", "05:00", null)] });
    expect(stretches(of, at("09:00"))).toEqual([
      { from: at("01:00"), to: at("02:00"), state: "pending" },
      { from: at("02:00"), to: at("03:00"), state: "firing" },
      { from: at("04:00"), to: at("04:30"), state: "pending" },
      { from: at("05:00"), to: at("05:00"), state: "pending" },
      { from: at("05:00"), to: at("09:00"), state: "firing" },
    ]);
  });
  it("comes in the order in which rules fired", () => {
    const late = rule("late", { fired: true, alerts: [life("05:00", "06:00", null)] });
    const early = rule("early", { fired: true, alerts: [life("01:00", "02:00", null, { severity: "critical" })] });
    const all = rows(document([late, rule("never"), early], []));
    expect(all.map(({ name, urgency }) => `${name} ${urgency}`)).toEqual(["early critical", "late warning"]);
  });
  it("is nothing to go by only if nothing at all was there", () => {
    const why = (kind: string) => ({ kind, text: "", evidence: [] });
    expect(isBlind(rule("A", { why_not: [why("no-series"), why("no-series")] }))).toBe(true);
    expect(isBlind(rule("A", { why_not: [why("no-series"), why("never-reached")] }))).toBe(false);
    expect(isBlind(rule("A"))).toBe(false);
  });
});

describe("what was warned of", () => {
  it("is told once for each rule, the longest before first", () => {
    const of = incident([warned("b", 60), warned("late", null, 5), warned("a", 3600), warned("b", 7200)]);
    expect(best(of).map(({ alert, lead_seconds: lead }) => [alert, lead])).toEqual([["b", 7200], ["a", 3600], ["late", null]]);
    expect(isForetold(of)).toBe(true);
    expect(isForetold(incident([warned("late", null, 5)]))).toBe(false);
  });
  it("says which rule is shown first", () => {
    const [a, b] = [rule("a", { fired: true }), rule("b", { fired: true })];
    expect(foremost(document([a, b], [incident([warned("b", 9)])]))).toBe(b);
    expect(foremost(document([rule("never"), b], []))).toBe(b);
    expect(foremost(document([], []))).toBeNull();
  });
});

describe("the picture of a condition", () => {
  const condition = { left: "x", op: ">", right: "5", bound: "5" };
  const curve = (name: string, ...values: number[]) => ({ labels: { name }, points: values.map((value, place): [number, number] => [place, value]) });
  it("has a bound that is a number, where there is one", () => {
    const moving = { left: "y", op: ">", right: "z", bound: null };
    expect(shown(rule("A", { conditions: [moving, condition] }))).toBe(condition);
    expect(shown(rule("A", { conditions: [moving] }))).toBe(moving);
    expect(shown(rule("A", { conditions: [] }))).toBeNull();
    expect([bound(condition), bound(moving), bound({ ...condition, bound: "0" })]).toEqual([5, null, 0]);
  });
  it("has whom alerts are about, then what came the nearest to the bound", () => {
    const all = [curve("low", 1, 2), curve("told", 0), curve("high", 9, NaN), ...Array.from({ length: 9 }, (_, place) => curve(`c${place}`, 3))];
    const of = rule("A", { alerts: [life("01:00", "01:00", null, { name: "told", severity: "x" })] });
    const names = (curves: { labels: Record<string, string> }[]) => curves.slice(0, 3).map(({ labels }) => labels["name"]);
    expect(names(nearest(all, condition, of))).toEqual(["told", "high", "c0"]);
    expect(names(nearest(all, { ...condition, op: "<" }, rule("A")))).toEqual(["told", "low", "c0"]);
    expect(nearest(all, condition, of)).toHaveLength(8);
  });
  it("names curves by what tells them apart", () => {
    expect(apart([{ id: "/a", job: "j" }, { id: "/b", job: "j" }])).toEqual(["/a", "/b"]);
    expect(apart([{ __name__: "x", id: "/a", job: "j" }])).toEqual(["/a"]);
    expect(apart([{}])).toEqual([""]);
  });
  it("is that of the memory, where a growth was only judged for it", () => {
    const grown = rule("A", { alerts: [life("01:00", "01:00", null, { id: "/a.b", resource: "anon" })] });
    expect(memoryOf(grown)).toContain('id=~"/a\\\\.b"');
    expect(memoryOf(rule("A", { alerts: [life("01:00", "01:00", null, { id: "/a" })] }))).toBeNull();
  });
});

it("asks for what was given and nothing else", () => {
  expect(path({ last: "60", scrape: "", expr: "up == 0" })).toBe("backtest?last=60&expr=up+%3D%3D+0");
});
