import { readFileSync } from "node:fs";

import { expect, it } from "vitest";

import type { Finding, Now, Values } from "./documents";
import { findingTold, markTold, reasonTold, resourceName } from "./finding";
import { sayer, teller, type Tell } from "./words";

/** The closed set, as the manual has it: a test beside the subjects themselves keeps that whole. */
function subjects(): string[] {
  const manual = readFileSync("../docs/manual/json.md", "utf8");
  const rows = manual.split("\n| `subject` |")[1]?.split("\n\n")[0]?.split("\n").slice(2) ?? [];
  return rows.map((row) => /^\| `([a-z-]+)` \|/.exec(row)?.[1] ?? row);
}

const none: Values = {
  owner: null,
  limit_owner: null,
  bytes: null,
  of_bytes: null,
  count: null,
  of_count: null,
  percent: null,
  seconds: null,
  names: [],
};
const full: Values = {
  owner: "web.service",
  limit_owner: "/system.slice/web.service",
  bytes: 96 << 20,
  of_bytes: 100 << 20,
  count: 3,
  of_count: 7,
  percent: 12,
  seconds: 3600,
  names: ["anon"],
};
const grower = { owner: { kind: "unit", id: "web.service", name: "web.service" }, resource: "anon", unit: "bytes", verdict: "leak" };
const now: Now = {
  time: "2026-11-22T06:53:57.406Z",
  up_seconds: 1,
  severity: "warning",
  urgent: [],
  memory: {
    total_bytes: 1e9,
    available_bytes: 1e8,
    swap_total_bytes: 0,
    swap_free_bytes: 0,
    low_watermark_bytes: 1e8,
    min_watermark_bytes: 1e7,
  },
  pressure: { some: null, full: null },
  owners: [],
  processes: [],
  process_count: 1,
  kills_since_boot: 0,
  growth: { items: [{ ...grower, rate_bytes_per_hour: 60 << 20, limit_bytes: 1 << 30, seconds_to_limit: 7200 }] },
  ends: { by_cause: [{ cause: "segfault", count: 2 }] },
  recorder: null,
  notes: [],
};

const tell = teller("zh") as Tell;
const told = (subject: string, values: Values, of: Now = now): string | null => {
  const finding: Finding = { severity: "warning", subject, values, text: "", evidence: [] };
  return findingTold(tell, sayer("zh"), finding, of);
};

it("every subject has a Chinese sentence of its values", () => {
  const all = subjects();
  expect(all.length).toBeGreaterThan(20);
  for (const subject of all) {
    const sentence = told(subject, full) ?? "";
    expect(sentence, subject).toMatch(/\p{Script=Han}.*。$/u);
    expect(sentence, subject).not.toMatch(/[{}]|null|undefined|–|NaN/);
  }
});

it("says what the recorder says", () => {
  expect(told("limit-near", full)).toBe("web.service 已用 96 MiB，上限 100 MiB（96 %）。");
  expect(told("kills", { ...full, owner: "worker (pid 7)", of_count: null })).toBe(
    "过去 24 小时内有 3 个进程因内存被杀；最近的是 worker (pid 7)，1 h 前。达到的是 /system.slice/web.service 的上限。",
  );
  expect(told("kills-since-boot", { ...none, count: 0, of_count: 308 })).toBe("自开机以来有 308 个进程因内存被杀；是谁、何时，没有记录。");
  expect(told("ends", full)).toContain("原因：段错误 × 2。");
  expect(told("growth", full)).toBe("web.service 正在泄漏匿名内存：60 MiB/h。约 2 h 后达到 1 GiB 的界限。");
});

it("a mark says whose and what, and every kind of reason why a rule did not fire is told", () => {
  const mark = { at: "2026-11-22T06:53:57.406Z", text: "", id: null, owner: "web.service" };
  const say = sayer("zh");
  expect(markTold(tell, say, { ...mark, kind: "death", what: "kernel-oom-memcg" })).toBe("web.service：OOM：cgroup 达上限");
  expect(markTold(tell, say, { ...mark, kind: "growth", what: "fds" })).toBe("web.service：文件描述符");
  expect(markTold(tell, say, { ...mark, kind: "restart", what: null })).toBe("web.service 重新启动");
  expect(markTold(tell, say, { ...mark, kind: "recorder", owner: null, what: "started" })).toBe("记录程序启动");
  expect(markTold(tell, say, { ...mark, kind: "recorder", what: "sang" })).toBeNull();
  const manual = readFileSync("../docs/manual/backtest.md", "utf8");
  const rows = manual.split("\n| kind in JSON |")[1]?.split("\n\n")[0]?.split("\n").slice(2) ?? [];
  expect(rows.length).toBeGreaterThan(8);
  for (const row of rows) expect(reasonTold(tell, /`([a-z-]+)`/.exec(row)?.[1] ?? ""), row).toMatch(/。$/);
});

it("without values, or of what is newer than the page, the recorder's own sentence has to do", () => {
  expect(told("act-of-god", full)).toBeNull();
  expect(told("growth", full, { ...now, growth: null })).toBeNull();
  expect(findingTold(tell, sayer("zh"), { severity: "ok", text: "x", evidence: [] }, now)).toBeNull();
  expect(resourceName(sayer("en"), "quarks")).toBe("quarks");
});
