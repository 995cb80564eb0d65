import { describe, expect, it } from "vitest";

import { amount, bytes, clock, percent, plain, rate, share, short, span, utc } from "./format";

describe("amounts", () => {
  it("have three digits at most and a unit", () => {
    expect([0, 412, 1023, 1024, 66_897_920, 2 ** 30, 1.25 * 2 ** 30, 25_276_510_208].map((of) => bytes(of))).toEqual([
      "0 B",
      "412 B",
      "1023 B",
      "1 KiB",
      "63.8 MiB",
      "1 GiB",
      "1.25 GiB",
      "23.5 GiB",
    ]);
  });
  it("say that they are not there, without end, or below nothing", () => {
    expect([bytes(null), bytes(NaN), bytes(Infinity), bytes(-2048)]).toEqual(["–", "–", "∞", "−2 KiB"]);
    expect(amount(1234, "count")).toBe("1,234");
  });
  it("are shares of a whole that is there", () => {
    expect([share(1, 8), share(1, 250), share(0, 9), share(1, 0)]).toEqual(["13 %", "0.4 %", "0 %", "–"]);
    expect([percent(99.4), percent(0.04), percent(0.06)]).toEqual(["99 %", "< 0.1 %", "0.1 %"]);
  });
});

describe("spans and rates", () => {
  it("have their two largest units", () => {
    expect([0, 12, 240, 250, 3_600, 183_601, 86_400 * 40].map((of) => span(of))).toEqual([
      "0 s",
      "12 s",
      "4 min",
      "4 min 10 s",
      "1 h",
      "2 d 3 h",
      "40 d",
    ]);
    expect(span(null)).toBe("–");
  });
  it("are told by the unit of time that gives a number one can picture", () => {
    const mib = 1024 * 1024;
    expect([rate(1440 * mib, "bytes"), rate(5 * mib, "bytes"), rate(mib, "bytes")]).toEqual(["24 MiB/min", "5 MiB/h", "24 MiB/d"]);
  });
});

describe("moments", () => {
  it("carry their date unless it is today's", () => {
    const at = new Date(2026, 10, 21, 4, 11, 2).getTime();
    expect(clock(at, at + 60_000)).toBe("04:11:02");
    expect(clock(at, at + 48 * 3_600_000)).toBe("2026-11-21 04:11:02");
    expect(utc(Date.UTC(2026, 10, 21, 4, 11, 2, 123))).toBe("2026-11-21T04:11:02Z");
  });
});

describe("a name from elsewhere", () => {
  it("can hide and turn nothing", () => {
    expect(plain("a\u202Eb\u0000\u001b[31m\u2028\u200d\ufeffz")).toBe(
      "a\\u{202e}b\\u{0}\\u{1b}[31m\\u{2028}\\u{200d}\\u{feff}z",
    );
    expect(plain("\ud800x")).toBe("\\u{d800}x");
  });
  it("shows of a long id the beginning", () => {
    expect(short(`/docker/${"0a1b".repeat(16)}/x`)).toBe("/docker/0a1b0a1b0a1b…/x");
    expect(short("deadbeef.service")).toBe("deadbeef.service");
  });
  it("stays as it is otherwise, in any script", () => {
    for (const name of ["checkout.service", "内存 é 😀", "<b>x</b>"]) expect(plain(name)).toBe(name);
  });
});
