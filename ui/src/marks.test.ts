import { expect, it } from "vitest";

import type { Mark } from "./documents";
import { thinned } from "./marks";

const mark = (at: number, kind: Mark["kind"]): Mark => ({ at: new Date(at).toISOString(), kind, text: kind, id: null });

it("at each place the most important mark stands, and how many others there are", () => {
  const shown = thinned([mark(10, "recorder"), mark(12, "death"), mark(14, "growth"), mark(90, "boot")], { from: 0, to: 100 }, 5);
  expect(shown.map(({ mark, others }) => [mark.kind, others])).toEqual([["death", 2], ["boot", 0]]);
});
