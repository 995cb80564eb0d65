import { expect, it } from "vitest";

import { bounded, csv, piled, plot, stepMs } from "./curves";

const named = () => ({ label: "a", colour: "b" });

it("a step is a whole number of readings and about two pixels wide", () => {
  const hour = 3_600_000;
  expect([1, 24, 24 * 30, 24 * 400].map((hours) => stepMs({ from: 0, to: hours * hour }, 1400) / 1000)).toEqual([10, 300, 7200, 86400]);
  expect(stepMs({ from: 0, to: 10_000 }, 1400)).toBe(5000);
});

it("where nothing was recorded no line is drawn", () => {
  const drawn = plot([{ labels: {}, points: [[0, 1], [5000, 2], [60_000, 3], [65_000, Infinity]] }], 5000, named);
  expect(drawn.at).toEqual([0, 5, 10, 60, 65]);
  expect(drawn.lines[0]?.values).toEqual([1, 2, null, 3, null]);
});

it("the kinds of memory are piled up to what is not free", () => {
  const curve = (name: string, value: number) => ({ labels: { __name__: `node_memory_${name}_bytes` }, points: [[0, value]] as [number, number][] });
  const drawn = piled([curve("MemTotal", 100), curve("MemFree", 40), curve("AnonPages", 25)], 5000, (kind) => kind);
  expect(drawn.lines.map((line) => line.values[0])).toEqual([25, 25, 25, 25, 25, 25, 60]);
});

it("a name cannot become a formula in a spreadsheet", () => {
  const text = csv({ at: [0], lines: [{ label: '=HYPERLINK("x")', colour: "", values: [null] }] });
  expect(text).toBe("time,\"'=HYPERLINK(\"\"x\"\")\"\n1970-01-01T00:00:00.000Z,\n");
});

it("a table has each amount, not the pile it stands on", () => {
  const lines = [1, 3].map((value, place) => ({ label: `l${place}`, colour: "", values: [value] }));
  const limit = { label: "limit", colour: "", values: [9], isLimit: true };
  expect(csv({ at: [0], lines: [...lines, limit] }, true).split("\n")[1]).toBe("1970-01-01T00:00:00.000Z,1,2,9");
});

it("a limit is in the picture where it is in reach", () => {
  const lines = (limit: number) => [{ label: "", colour: "", values: [10, null] }, { label: "", colour: "", values: [limit], isLimit: true }];
  expect(bounded({ at: [0], lines: lines(40) })).toBe(40);
  expect(bounded({ at: [0], lines: lines(4000) })).toBe(10);
});
