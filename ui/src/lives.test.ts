import { expect, it } from "vitest";

import type { DeathRow } from "./documents";
import { deathsOf, seen, storiesOf, told, withLater } from "./lives";

const death = (at: number, owner: string): DeathRow => ({
  id: `${at}-1`,
  time: new Date(at).toISOString(),
  name: "a",
  pid: 1,
  owner,
  cause: "kernel-oom-memcg",
  confidence: null,
  signal: null,
  held_bytes: null,
  summary: "it was killed",
});
const points = (...all: number[]): [number, number][] => all.map((at) => [at, 1]);

it("a life lasts while there are processes, and its death is known", () => {
  const lives = seen(points(100_000, 105_000, 110_000, 140_000, 145_000), 5_000, { from: 0, to: 150_000 }, [death(112_000, "/a")]);
  expect(lives.map(({ from, to, cause }) => [from, to, cause])).toEqual([
    [100_000, 112_000, "kernel-oom-memcg"],
    [140_000, null, null],
  ]);
  expect(lives[0]?.death).toBe("112000-1");
});

it("a life that was there before the span has no beginning, and one that is over is over", () => {
  const lives = seen(points(5_000, 10_000), 5_000, { from: 0, to: 60_000 }, []);
  expect(lives).toMatchObject([{ from: null, to: 10_000 }]);
  expect(seen([], 5_000, { from: 0, to: 60_000 }, [])).toEqual([]);
});

it("deaths are those of the owner, and of the cgroups in it", () => {
  const rows = [death(1, "/a/b"), death(2, "/a"), death(3, "/ab"), death(4, "x.service"), { ...death(5, ""), owner: null }];
  expect(deathsOf(rows, { kind: "cgroup", id: "/a" }).map((row) => row.owner)).toEqual(["/a/b", "/a"]);
  expect(deathsOf(rows, { kind: "unit", id: "x.service" })).toHaveLength(1);
});

it("what a manager told counts as it told it", () => {
  const life = { started: "2026-01-01T00:00:00Z", ended: "2026-01-01T00:01:00Z", cause: "timeout", summary: null, cgroup: "/s/a", memory: { peak_bytes: 7 } };
  const stories = [
    { owner: { kind: "unit", id: "a.service" }, lives: [life], claims: [] },
    { owner: { kind: "unit", id: "b.service" }, lives: [life, life], claims: [] },
  ];
  const end = Date.parse(life.ended);
  expect(told(storiesOf(stories, { kind: "unit", id: "a.service" }), [death(end + 500, "a.service")])).toEqual([
    { from: end - 60_000, to: end, cause: "timeout", summary: null, peak: 7, cgroup: "/s/a", death: `${end + 500}-1` },
  ]);
});

it("a life that nobody told of yet is seen after those that ended", () => {
  const life = { from: 0, to: 100_000, cause: "oom", summary: null, peak: 7, cgroup: null, death: null };
  const lives = withLater([life], points(95_000, 100_000, 105_000, 110_000, 115_000, 120_000), 5_000, 121_000);
  expect(lives.map(({ from, to }) => [from, to])).toEqual([
    [0, 100_000],
    [110_000, null],
  ]);
});

it("what was last read before an end is no life after it, and one that lives is told as it is", () => {
  const life = { from: 0, to: 100_000, cause: "oom", summary: null, peak: 7, cgroup: null, death: null };
  expect(withLater([life], points(100_000, 105_000), 5_000, 106_000)).toEqual([life]);
  const alive = { ...life, to: null };
  expect(withLater([alive], points(110_000), 5_000, 111_000)).toEqual([alive]);
  expect(withLater([], points(110_000), 5_000, 111_000)).toEqual([]);
});
