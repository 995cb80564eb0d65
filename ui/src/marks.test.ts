import { expect, it } from "vitest";

import type { Mark } from "./documents";
import { grouped, thinned } from "./marks";

const mark = (at: number, kind: Mark["kind"]): Mark => ({ at: new Date(at).toISOString(), kind, text: kind, id: null });

it("at each place the most important mark stands, and how many others there are", () => {
  const shown = thinned([mark(10, "recorder"), mark(12, "death"), mark(14, "growth"), mark(90, "boot")], { from: 0, to: 100 }, 5);
  expect(shown.map(({ mark, others }) => [mark.kind, others])).toEqual([["death", 2], ["boot", 0]]);
});

it("marks that would lie over each other are one that counts, and the next has room", () => {
  const all = [mark(30, "death"), mark(10, "restart"), mark(15, "death"), mark(24, "death"), mark(60, "boot")];
  const shown = grouped(all, { from: 0, to: 100 }, 10);
  expect(shown.map(({ mark, alike, others }) => [Date.parse(mark.at), mark.kind, alike, others])).toEqual([
    [15, "death", 2, 2],
    [30, "death", 1, 0],
    [60, "boot", 1, 0],
  ]);
});
