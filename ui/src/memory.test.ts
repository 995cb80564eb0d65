import { expect, it } from "vitest";

import { makeup, makeupOf, makeups, total } from "./memory";

const FIELDS = { MemTotal: 1000, MemFree: 400, AnonPages: 200, Shmem: 50, Cached: 250, Buffers: 10, Slab: 60, PageTables: 5, KernelStack: 3 };

const samples = Object.entries(FIELDS).map(([name, value]) => ({
  labels: { __name__: `node_memory_${name}_bytes` },
  at: 0,
  value,
}));

it("all memory is accounted for, shared memory once", () => {
  const of = makeupOf(samples);
  expect(of).toEqual({ anon: 200, shmem: 50, file: 210, slab: 60, tables: 5, stacks: 3, free: 400, other: 72 });
  expect(of && total(of)).toBe(1000);
});

it("without its size nothing is known of a memory", () => {
  expect(makeup({ MemFree: 1 })).toBeNull();
  expect(makeupOf([])).toBeNull();
});

it("numbers that are more than the whole leave nothing over", () => {
  expect(makeup({ ...FIELDS, AnonPages: 5000 })?.other).toBe(0);
});

it("curves come together by their moments", () => {
  const curves = samples.map(({ labels, value }) => ({ labels, points: [[20, value], [10, value]] as [number, number][] }));
  const all = makeups([...curves, { labels: { __name__: "up" }, points: [[15, 1]] }]);
  expect(all.map(({ at, of }) => [at, of?.anon])).toEqual([[10, 200], [20, 200]]);
});
