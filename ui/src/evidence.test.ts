import { describe, expect, it } from "vitest";

import { address, series, split } from "./evidence";
import { read } from "./route";

describe("a sentence", () => {
  it("leads to the view that shows what its command does", () => {
    expect(split("1 process was killed: highwater why --data-dir 'x y'")).toEqual({ text: "1 process was killed.", view: "deaths" });
    expect(split("a.service leaks: highwater leaks a.service").view).toBe("growth");
  });
  it("keeps a command that the page has no place for", () => {
    const said = "the recorder does not run: highwater agent";
    expect(split(said)).toEqual({ text: said, view: null });
  });
});

describe("evidence of a series", () => {
  const course = 'container_memory_rss{id="/a}: b",unit="a\\"b"}: 44 points in 5 min 25 s, 1 MiB to 27.1 MiB at 2026-11-21T23:58:09.673Z';
  it("names it and its span", () => {
    const end = Date.parse("2026-11-21T23:58:09.673Z");
    const shown = series("recorded series", course, null);
    expect(shown).toEqual({ query: 'container_memory_rss{id="/a}: b",unit="a\\"b"}', from: end - 325_000, to: end });
    const route = read(address(shown ?? { query: "", from: 0, to: 0 }));
    expect(route.with["q"]).toBe(shown?.query);
    expect([Number(route.with["mf"]), Number(route.with["mt"])]).toEqual([end - 325_000, end]);
    expect(Number(route.with["from"])).toBeLessThan(end - 325_000);
  });
  it("without a moment is of the one that it speaks of", () => {
    const shown = series("recorded series", "node_memory_MemTotal_bytes: 1", 5_000_000);
    expect(shown).toEqual({ query: "node_memory_MemTotal_bytes", from: 5_000_000 - 600_000, to: 5_000_000 });
    expect(series("recorded series", "node_memory_MemTotal_bytes: 1", null)).toBeNull();
  });
  it("is nothing else's", () => {
    expect(series("/dev/kmsg", "node_memory_MemTotal_bytes: 1 at 2026-11-21T23:58:09Z", 0)).toBeNull();
    expect(series("recorded series", "x{unclosed: 1", 0)).toBeNull();
  });
});
