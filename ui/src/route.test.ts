import { describe, expect, it } from "vitest";

import { named, read, spanOf, write } from "./route";

describe("an address", () => {
  it("is read as it was written, whatever is in it", () => {
    const route = { view: "explore" as const, id: null, with: { q: 'a{b="#&?/%"} + 1', last: "60" } };
    expect(read(write(route))).toEqual(route);
    const death = { view: "deaths" as const, id: "17-7", with: {} };
    expect(write(death)).toBe("#/deaths/17-7");
    expect(read("#/deaths/17-7")).toEqual(death);
  });
  it("that means nothing leads to the first view", () => {
    for (const hash of ["", "#", "#/nowhere", "#//", "#/now?%zz"]) expect(read(hash).view).toBe("now");
    expect(read("#/deaths/%zz").id).toBe("%zz");
  });
});

describe("a span", () => {
  const now = 1_800_000_000_000;
  const of = (given: Record<string, string>) => spanOf({ view: "time", id: null, with: given }, now);
  it("is the last hour, the last so long, or from one moment to another", () => {
    expect(of({})).toEqual({ from: now - 3_600_000, to: now, isLive: true });
    expect(of({ last: "60" })).toEqual({ from: now - 60_000, to: now, isLive: true });
    expect(of({ from: "1000000", to: "2000000" })).toEqual({ from: 1_000_000, to: 2_000_000, isLive: false });
  });
  it("is never nothing, endless, or turned round", () => {
    for (const given of [{ last: "x" }, { last: "-5" }, { last: "1e300" }, { from: "5", to: "4" }, { from: "1", to: "1e15" }]) {
      const span = of(given as Record<string, string>);
      expect(span.to - span.from).toBeGreaterThanOrEqual(10_000);
      expect(span.to - span.from).toBeLessThanOrEqual(400 * 24 * 3_600_000);
    }
  });
  it("is named so that it is found again", () => {
    for (const given of [{ last: "900" }, { from: "1000000", to: "2000000" }]) {
      const span = of(given as Record<string, string>);
      expect(of(named(span))).toEqual(span);
    }
  });
});
