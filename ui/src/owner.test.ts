import { expect, it } from "vitest";

import { above, cgroups, isSame, makeups, outermost, ownerAt, ownerLink, ownerNamed, ownerOf, ownerOfProcess, parts, piledUp, sums, total, within } from "./owner";
import { read } from "./route";

const name = (field: string, id: string, value: number) => ({ labels: { __name__: field, id }, points: [[0, value]] as [number, number][] });

it("the server's words name an owner", () => {
  expect(ownerNamed("nginx.service")).toEqual({ kind: "unit", id: "nginx.service" });
  expect(ownerNamed("session-3.scope")).toEqual({ kind: "session", id: "session-3.scope" });
  expect(ownerNamed("a.service of user 1000")).toEqual({ kind: "user-unit", id: "a.service", uid: "1000" });
  expect(ownerNamed("container web", "/docker/1")).toEqual({ kind: "container", id: "web", cgroup: "/docker/1" });
  expect(ownerNamed("container app of pod shop/web-1")).toEqual({ kind: "pod", id: "web-1", namespace: "shop", container: "app" });
  expect(ownerNamed("/leak")).toEqual({ kind: "cgroup", id: "/leak" });
  expect(ownerNamed("nobody in particular")).toBeNull();
  expect(ownerNamed("")).toBeNull();
});

it("a process belongs to its container, its user's unit, its unit, its cgroup", () => {
  expect(ownerOfProcess({ id: "/docker/x", container: "x" })?.kind).toBe("container");
  expect(ownerOfProcess({ id: "/user.slice/user-7.slice/user@7.service/app.slice/a.service", unit: "a.service" })).toMatchObject({ kind: "user-unit", uid: "7" });
  expect(ownerOfProcess({ id: "/system.slice/a.service", unit: "a.service" })).toMatchObject({ kind: "unit", id: "a.service" });
  expect(ownerOfProcess({ id: "/a" })).toEqual({ kind: "cgroup", id: "/a" });
  expect(ownerOfProcess({})).toBeNull();
});

it("an address leads back to the same owner, whatever its name has in it", () => {
  const owner = { kind: "cgroup" as const, id: '/a b/<img src=x>&"?#%' };
  expect(ownerAt(read(ownerLink(owner, { last: "60" })))).toEqual(owner);
  expect(ownerOf({ kind: "file-system", id: "/" })).toBeNull();
  expect(ownerAt(read("#/owner?kind=unit"))).toBeNull();
});

it("an owner is the same by a short id, and not by another user", () => {
  const id = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";
  expect(isSame({ kind: "container", id }, { kind: "container", id: id.slice(0, 12) })).toBe(true);
  expect(isSame({ kind: "container", id: "a" }, { kind: "container", id: "ab" })).toBe(false);
  expect(isSame({ kind: "user-unit", id: "a", uid: "1" }, { kind: "user-unit", id: "a", uid: "2" })).toBe(false);
  expect(isSame({ kind: "unit", id: "a" }, { kind: "session", id: "a" })).toBe(false);
});

it("a question asks for that owner and for nothing else", () => {
  expect(sums({ kind: "unit", id: 'a"} or up{x="' })).toBe('{kind="unit",id="a\\"} or up{x=\\""}');
  expect(sums({ kind: "container", id: "34186d9bd077" })).toBe('{kind="container",id=~"34186d9bd077.*"}');
  expect(cgroups({ kind: "container", id: "a.b" })).toBe('container=~"a\\\\.b.*"');
  expect(cgroups({ kind: "pod", id: "web-1" })).toBeNull();
  expect(within(["/a.b", "/c"])).toBe('id=~"(/a\\\\.b|/c)(/.*)?"');
});

it("of cgroups in each other the outer counts, and limits come from above", () => {
  expect(outermost(["/a/b/c", "/a/b", "/d", "/a/bc", "/d"])).toEqual(["/d", "/a/b", "/a/bc"]);
  expect(outermost(["/x", "/"])).toEqual(["/"]);
  expect(above(["/a/b/c", "/a/d"])).toEqual(["/a/b", "/a"]);
  expect(above(["/a"])).toEqual([]);
});

it("memory by kind comes to what is charged, over all lives", () => {
  expect(parts({ usage: 100, anon: 40, cache: 30, shmem: 10, slab: 5 })).toEqual({ anon: 40, shmem: 10, file: 20, slab: 5, tables: 0, stacks: 0, other: 25 });
  expect(parts({ anon: 4 }).other).toBe(0);
  const curves = [name("container_memory_usage_bytes", "/1", 10), name("container_memory_rss", "/1", 4), name("container_memory_usage_bytes", "/2", 5), name("unheard_of", "/1", 9)];
  expect(makeups(curves).get(0)).toMatchObject({ anon: 4, other: 11 });
  const drawn = piledUp(curves, [{ label: "limit", curve: new Map([[0, 20]]) }], 5000, (part) => part);
  expect(drawn.lines.map((line) => [line.label, line.values[0]])).toEqual([["anon", 4], ["other", 15], ["limit", 20]]);
});

it("limits add up, and one without end is none", () => {
  expect(total([name("", "/1", 3), name("", "/2", 4)]).get(0)).toBe(7);
  expect(total([name("", "/1", 3), name("", "/2", Infinity)]).size).toBe(0);
});
