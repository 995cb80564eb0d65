import { readFileSync } from "node:fs";

import { expect, it } from "vitest";

import { en } from "./words/en";
import { zh } from "./words/zh";
import { isWord, preferred, sayer, teller, type Word } from "./words";

const places = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();

it("both catalogues are whole, and name the same things", () => {
  expect(Object.keys(zh)).toEqual(Object.keys(en));
  for (const word of Object.keys(en) as Word[]) {
    expect(zh[word], word).not.toBe("");
    expect(places(zh[word]), word).toEqual(places(en[word]));
  }
});

it("every kind of memory that the manual lists has a name", () => {
  const manual = readFileSync("../docs/manual/json.md", "utf8");
  const listed = /Kinds: (.*?)\. The parts add up/.exec(manual)?.[1] ?? "";
  const kinds = [...listed.matchAll(/`([a-z_]+)`/g)].map(([, kind]) => `kind.${kind}`);
  expect(kinds.length).toBeGreaterThan(25);
  expect(kinds.filter((kind) => !isWord(kind))).toEqual([]);
});

it("what is given stands in its place, and what is not stays visible", () => {
  expect(sayer("en")("verdict.many", { n: 2 })).toBe("2 things need you");
  expect(sayer("zh")("verdict.many")).toContain("{n}");
});

it("what is Latin stands apart from the Chinese around it, and only there", () => {
  const tell = teller("zh");
  expect(tell?.("mark.restart", { owner: "web.service" })).toBe("web.service 重新启动");
  expect(tell?.("mark.restart", { owner: "网页" })).toBe("网页重新启动");
  expect(sayer("zh")("swap.of", { used: "1 MiB", total: "2 MiB" })).toBe("已用 1 MiB，共 2 MiB");
  expect(teller("en")).toBeNull();
});

it("the language that was asked for is spoken", () => {
  expect([preferred("zh-CN"), preferred("en"), preferred("ZH")]).toEqual(["zh", "en", "zh"]);
});
