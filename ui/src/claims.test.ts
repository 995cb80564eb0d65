import { expect, it } from "vitest";

import { weighed } from "./claims";

const claims = (...all: string[]) => all.map((text) => ({ text, evidence: [] }));
const texts = (all: { text: string }[]) => all.map(({ text }) => text);

it("what it was comes first, and what it was not stands apart", () => {
  const all = claims("The limit was reached.", "The root cause is not a burst.", "The machine had memory left.", "A root cause is a true leak: anon of a.");
  const { main, rest, not } = weighed({ claims: all, reasons: claims("The limit was reached."), ruled_out: claims("No signal was sent.") });
  expect(texts(main)).toEqual(["The limit was reached.", "A root cause is a true leak: anon of a."]);
  expect(texts(rest)).toEqual(["The machine had memory left."]);
  expect(texts(not)).toEqual(["The root cause is not a burst.", "No signal was sent."]);
});

it("without reasons every claim is told all the same", () => {
  expect(weighed({ claims: claims("It ended."), reasons: [] })).toEqual({ main: [], rest: claims("It ended."), not: [] });
});
