import { describe, expect, it } from "vitest";

import { drawn, ended, goneOn, recorded, rows, standing, stepOf, urgency, whom, type Group } from "./alerting";

const alert = (name: string, severity: string, state: "pending" | "firing", activeAt: string) => ({
  labels: { alertname: name, severity, id: "/a" },
  annotations: {},
  state,
  activeAt,
  value: "7e+00",
});

const group = (alerts: ReturnType<typeof alert>[], interval = 15): Group => ({
  name: "g",
  file: "f",
  interval,
  evaluationTime: 0,
  lastEvaluation: "",
  rules: [{ type: "alerting", name: "r", query: "x > 1", duration: 60, alerts, health: "ok", lastEvaluation: "" }],
});

describe("alerts as they stand", () => {
  it("come with the most urgent that fires first, and what is pending last", () => {
    const old = alert("old", "critical", "firing", "2026-11-22T01:00:00Z");
    const fresh = alert("fresh", "critical", "firing", "2026-11-22T02:00:00Z");
    const minor = alert("minor", "info", "firing", "2026-11-22T02:30:00Z");
    const coming = alert("coming", "critical", "pending", "2026-11-22T02:40:00Z");
    const all = standing([group([minor, coming]), group([old, fresh])]);
    expect(all.map(({ labels }) => labels["alertname"])).toEqual(["fresh", "old", "minor", "coming"]);
    // It fires since its time was up, it is pending since it matched first.
    expect(all[0]?.since).toBe(Date.parse("2026-11-22T02:01:00Z"));
    expect(all[3]?.since).toBe(Date.parse("2026-11-22T02:40:00Z"));
    expect(all[0]?.number).toBe(7);
    expect(whom(all[0]?.labels ?? {})).toEqual([["id", "/a"]]);
  });
  it("are as urgent as their label says, in whichever words", () => {
    expect(["critical", "page", "Critical"].map((severity) => urgency({ severity }))).toEqual(["critical", "critical", "critical"]);
    expect([urgency({ severity: "info" }), urgency({ severity: "ticket" }), urgency(undefined)]).toEqual(["info", "warning", "warning"]);
  });
});

describe("the history of alerts", () => {
  const step = 60_000;
  const curve = (alertstate: string, minutes: number[], more = {}) => ({
    labels: { alertname: "A", alertstate, ...more },
    points: minutes.map((minute): [number, number] => [minute * step, 1]),
  });
  it("has one row for each alert, pending and firing, without gaps where there was none", () => {
    const all = rows([curve("pending", [1, 2]), curve("firing", [3, 4, 9]), curve("firing", [20], { id: "/b" })], step);
    expect(all.map(({ labels }) => labels["id"] ?? "")).toEqual(["/b", ""]);
    expect(all[1]?.stretches).toEqual([
      { from: 0, to: 2 * step, state: "pending" },
      { from: 2 * step, to: 4 * step, state: "firing" },
      { from: 8 * step, to: 9 * step, state: "firing" },
    ]);
  });
  it("says what ended, but not of what fires still", () => {
    const all = rows([curve("firing", [3], { severity: "info", id: "/a" }), curve("firing", [5], { id: "/b" }), curve("pending", [7], { id: "/c" })], step);
    const now = standing([group([alert("A", "info", "firing", "2026-11-22T01:00:00Z")])]);
    expect(ended(all, now).map(({ row }) => row.labels["id"])).toEqual(["/b"]);
  });
  it("goes on into the step that has not ended yet", () => {
    const at = 4.5 * step;
    const sample = (alertstate: string) => ({ labels: { alertstate, alertname: "A" }, at, value: 1 });
    const all = goneOn([curve("firing", [3, 4])], [sample("firing"), sample("pending")], at);
    expect(all.map(({ points }) => points.map(([moment]) => moment / step))).toEqual([[3, 4, 4.5], [4.5]]);
    // A range that ends with a whole step has told it already.
    expect(goneOn([curve("firing", [3, 4])], [sample("firing")], 4 * step)).toEqual([curve("firing", [3, 4])]);
  });
  it("is asked in steps in which every group was evaluated", () => {
    expect(stepOf([group([])], 5_000)).toBe(60_000);
    expect(stepOf([group([], 290)], 5_000)).toBe(300_000);
    expect(recorded(stepOf([], 600_000))).toBe("max_over_time(ALERTS[600s])");
  });
  it("is drawn as far as it can be seen", () => {
    const span = { from: 0, to: 1000 };
    const at = (from: number, to: number) => ({ from, to, state: "firing" as const });
    expect(drawn([at(-50, 10), at(12, 20), at(500, 2000), at(3000, 4000)], span, 100)).toEqual([at(0, 20), at(500, 1000)]);
  });
});
