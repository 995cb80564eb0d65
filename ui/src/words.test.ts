import { expect, it } from "vitest";

import { en } from "./words/en";
import { zh } from "./words/zh";
import { preferred, sayer, type Word } from "./words";

const places = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();

it("both catalogues are whole, and name the same things", () => {
  expect(Object.keys(zh)).toEqual(Object.keys(en));
  for (const word of Object.keys(en) as Word[]) {
    expect(zh[word], word).not.toBe("");
    expect(places(zh[word]), word).toEqual(places(en[word]));
  }
});

it("what is given stands in its place, and what is not stays visible", () => {
  expect(sayer("en")("verdict.many", { n: 2 })).toBe("2 things need you");
  expect(sayer("zh")("verdict.many")).toContain("{n}");
});

it("the language that was asked for is spoken", () => {
  expect([preferred("zh-CN"), preferred("en"), preferred("ZH")]).toEqual(["zh", "en", "zh"]);
});
