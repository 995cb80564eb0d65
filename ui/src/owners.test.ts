import { expect, it } from "vitest";

import { literal, owners, quoted } from "./owners";

const sample = (name: string, labels: Record<string, string>, value: number) => ({ labels: { __name__: name, ...labels }, at: 0, value });

it("an owner has the usage and the limit of its own cgroup, not of one inside it", () => {
  const sums = [sample("", { kind: "unit", id: "a.service" }, 5), sample("", { kind: "cgroup", id: "/b" }, 9)];
  const usages = [
    sample("container_memory_usage_bytes", { id: "/s/a.service/inner", unit: "a.service" }, 3),
    sample("container_memory_usage_bytes", { id: "/s/a.service", unit: "a.service" }, 7),
    sample("container_spec_memory_limit_bytes", { id: "/s/a.service", unit: "a.service" }, 10),
    sample("container_memory_usage_bytes", { id: "/b" }, 11),
    sample("container_spec_memory_limit_bytes", { id: "/b" }, Infinity),
  ];
  expect(owners(sums, usages)).toEqual([
    { kind: "cgroup", id: "/b", anon: 9, usage: 11, limit: null },
    { kind: "unit", id: "a.service", anon: 5, usage: 7, limit: 10 },
  ]);
});

it("a name in a query is that name and nothing else", () => {
  expect(quoted('a"} or up{x="\\')).toBe('"a\\"} or up{x=\\"\\\\"');
  expect(literal("a.b|c")).toBe("a\\\\.b\\\\|c");
  expect(literal('x"\n')).toBe('x\\"\\n');
});
