import { expect, it } from "vitest";

import { escaped, svg, type Picture } from "./svg";

const picture = (change: Partial<Picture> = {}): Picture => ({
  title: "Memory",
  plot: { at: [0, 10, 20, 30], lines: [{ label: "anonymous", colour: "a", values: [1, 2, null, 4] }, { label: "limit", colour: "b", values: [5, 5, 5, 5], isLimit: true }] },
  span: { from: 0, to: 30_000 },
  width: 640,
  height: 160,
  isPiled: false,
  most: 8,
  format: (value) => `${value} B`,
  colour: (name) => `#${name}`,
  marks: [{ at: 15_000, colour: "c" }],
  least: 0,
  bands: [],
  limit: null,
  ...change,
});

it("a picture has its title, its axes, its curves with their gaps, and limits with dashes", () => {
  const text = svg(picture());
  expect(text).toContain("<title>Memory</title>");
  expect(text).toContain(">anonymous</text>");
  expect(text).toContain(">4 B</text>");
  expect(text.match(/M84[^"]*"/)?.[0]).toBeDefined();
  const course = /<path d="(M[^"]+)" fill="none" stroke="#a"/.exec(text)?.[1] ?? "";
  expect(course.match(/M/g)).toHaveLength(2);
  expect(text).toMatch(/stroke="#b"[^>]*stroke-dasharray="6 4"/);
  expect(text).toMatch(/stroke="#c"[^>]*stroke-dasharray="3 3"/);
  expect(text).toContain("1970-01-01T00:00:00Z – 1970-01-01T00:00:30Z");
});

it("spans are shaded in their colours, and a scale may begin below nothing", () => {
  const plot = { at: [0, 10], lines: [{ label: "x", colour: "a", values: [-8, 8] }] };
  const text = svg(picture({ plot, least: -8, bands: [{ from: 15_000, to: 30_000, colour: "d" }] }));
  expect(text).toMatch(/width="266" height="160" fill="#d"/);
  const [, low, high] = /M84 ([\d.]+)L[\d.]+ ([\d.]+)" fill="none" stroke="#a"/.exec(text) ?? [];
  expect(Number(low) - Number(high)).toBe(160);
});

it("what is piled up is filled, the highest first", () => {
  const lines = [1, 2].map((value) => ({ label: `l${value}`, colour: `f${value}`, values: [value, value, value, value] }));
  const text = svg(picture({ isPiled: true, plot: { at: [0, 10, 20, 30], lines } }));
  const [first, second] = ['Z" fill="#f2"', 'Z" fill="#f1"'].map((part) => text.indexOf(part));
  expect(first).toBeGreaterThan(0);
  expect(second).toBeGreaterThan(first ?? 0);
});

it("a name is text, whatever is in it", () => {
  expect(escaped(`<img src=x onerror="a">&'`)).toBe("&lt;img src=x onerror=&quot;a&quot;&gt;&amp;&#39;");
  expect(escaped("a\u0000\u202eb\uffff")).toBe("a\\u{0}\\u{202e}b\\u{ffff}");
  const text = svg(picture({ title: "</title><script>alert(1)</script>", limit: { value: 3, label: "<b>" } }));
  expect(text).not.toMatch(/<script|<b>/);
});

it("a legend without end breaks into rows within the width", () => {
  const lines = Array.from({ length: 24 }, (_, place) => ({ label: `series-${place}-${"x".repeat(200)}`, colour: "a", values: [1, 1, 1, 1] }));
  const text = svg(picture({ plot: { at: [0, 10, 20, 30], lines } }));
  const rows = new Set([...text.matchAll(/<rect x="16" y="(\d+)"/g)].map(([, y]) => y));
  expect(rows.size).toBe(24);
  expect(text).not.toContain("x".repeat(100));
});
