import { readFileSync } from "node:fs";

import { expect, it } from "vitest";

import type { Death, DeathRow } from "./documents";
import { causeName, deathTold, rowTold, whyTold } from "./told";
import { sayer, teller, type Tell } from "./words";

/** A closed set, as the manual has it: a test beside the causes themselves keeps that of causes whole. */
function codes(head: string): string[] {
  const manual = readFileSync("../docs/manual/json.md", "utf8");
  const rows = manual.split(`\n| \`${head}\` | what |`)[1]?.split("\n\n")[0]?.split("\n").slice(2) ?? [];
  const cells = rows.map((row) => row.split(" | ")[0] ?? "");
  return cells.flatMap((cell) => [...cell.matchAll(/`([a-z-]+)`/g)].map(([, code]) => code ?? ""));
}

const tell = teller("zh") as Tell;
const said = (death: Death): string => {
  const told = deathTold(tell, death);
  return told ? `${told.what}${told.details}` : "";
};
const killed: Death = {
  time: "2026-11-22T06:53:57.406Z",
  cause: "kernel-oom-memcg",
  confidence: "certain",
  summary: "checkout.service ended",
  signal: "SIGKILL",
  victim: { pid: 9982, comm: "checkout", uid: 0, anon_rss_bytes: 96 << 20, rss_bytes: null },
  owner: { kind: "unit", id: "checkout.service" },
  first: true,
  limit_of: "own",
  memcg: { limit_owner: "/system.slice/checkout.service", task: null, limit_bytes: 100 << 20 },
  makeup: null,
  tasks: [],
  claims: [],
  reasons: [],
  advice: [],
  sender: null,
  recorded: { points: 302, from: null, to: null },
};
const nothing: Partial<Death> = {
  victim: { pid: null, comm: null, uid: null, anon_rss_bytes: null, rss_bytes: null },
  owner: null,
  first: null,
  limit_of: null,
  memcg: null,
  signal: null,
  recorded: { points: 0, from: null, to: null },
};

it("every cause has a name in both languages, and a Chinese sentence with and without what is known", () => {
  const all = codes("cause");
  expect(all.length).toBeGreaterThan(40);
  for (const cause of all) {
    for (const language of ["en", "zh"] as const) {
      const name = causeName(sayer(language), cause);
      expect(name, `${cause} in ${language}`).not.toBe(cause);
    }
    for (const death of [{ ...killed, cause }, { ...killed, ...nothing, cause }]) {
      const told = said(death);
      expect(told, cause).toMatch(/\p{Script=Han}.*。/u);
      expect(told, cause).not.toMatch(/[{}]|null|undefined|–|NaN/);
    }
  }
});

it("a kill at a limit says who, at whose limit, and what it held", () => {
  expect(said(killed)).toBe("checkout.service 被内核杀死（OOM）：它自己的 cgroup 达到 100 MiB 的内存上限。被杀的进程当时占用 96 MiB 内存，为上限的 96 %。");
  const above = { ...killed, limit_of: "ancestor", first: false, confidence: "likely" };
  expect(said(above)).toMatch(
    /^很可能：checkout.service 的进程 checkout（pid 9982）被内核杀死（OOM）：上级 cgroup \/system.slice\/checkout.service 达到 100 MiB 的内存上限。/,
  );
});

it("what is not known is said to be so, or left out", () => {
  expect(said({ ...killed, ...nothing })).toBe("一个没有记录名称的进程被内核杀死（OOM）：某个内存 cgroup 达到上限。");
  const sent = { ...killed, ...nothing, cause: "signal", signal: "SIGTERM", sender: null };
  expect(said(sent)).toBe("一个没有记录名称的进程因收到信号而结束。信号：SIGTERM。发送者未能确认。");
  const sender = { pid: 812, comm: "kill", command: null, owner: { kind: "session", id: "session-4.scope" } };
  expect(said({ ...sent, sender })).toContain("发送者：session-4.scope 的进程 kill（pid 812）。");
});

it("an owner that ended with its child says so, and a name from the machine stays inert", () => {
  expect(said({ ...killed, child: 77 })).toMatch(/^checkout.service 随之结束，因为它的一个进程（pid 77）先被杀死。该进程被内核杀死（OOM）：/);
  const row: DeathRow = {
    id: "1-2",
    time: "2026-11-22T06:53:57.406Z",
    name: "a\u202eb",
    pid: 2,
    owner: null,
    cause: "segfault",
    confidence: "certain",
    signal: "SIGSEGV",
    held_bytes: null,
    sender: null,
    summary: "",
  };
  expect(rowTold(tell, row)).toBe("a\\u{202e}b（pid 2）访问了不允许访问的内存（段错误）而崩溃。信号：SIGSEGV。");
});

it("a claim that states a reason is told by its name, and no other claim is", () => {
  const all = codes("reason");
  expect(all.length).toBeGreaterThan(15);
  for (const reason of all) {
    const claim = { text: `because of ${reason}`, evidence: [] };
    const death = { ...killed, reasons: [{ ...claim, reason }] };
    expect(whyTold(tell, death, claim), reason).toMatch(/。$/);
    expect(whyTold(tell, death, { ...claim, text: "another" })).toBeNull();
  }
});

it("a cause that is newer than the page is told by its code, and its sentence is the recorder's", () => {
  expect(causeName(sayer("zh"), "act-of-god")).toBe("act-of-god");
  expect(deathTold(tell, { ...killed, cause: "act-of-god" })).toBeNull();
});
