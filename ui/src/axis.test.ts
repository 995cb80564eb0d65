import { expect, it } from "vitest";

import { amounts, moments, times } from "./axis";

it("amounts are round, and no more than there is room for", () => {
  expect(amounts(17 * 2 ** 30, 5).map((at) => at / 2 ** 30)).toEqual([0, 4, 8, 12, 16]);
  expect(amounts(1.9, 2)).toEqual([0, 1]);
  expect(amounts(100, 4)).toEqual([0, 50, 100]);
  expect(amounts(0, 4)).toEqual([0]);
  expect(amounts(100, 4, -100)).toEqual([-100, -50, 0, 50, 100]);
});

it("moments are of the clock, and days are told by their date", () => {
  const { all, step } = moments(1_800_000_123, 1_800_003_723, 6);
  expect(step).toBe(600);
  expect(all).toHaveLength(6);
  expect(all.every((at) => at % 600 === 0)).toBe(true);
  expect(times([Date.UTC(2026, 0, 2, 12) / 1000], 86_400)[0]).toMatch(/^01-0[23]$/);
  expect(moments(0, 400 * 86_400, 8).all.length).toBeLessThanOrEqual(8);
});
