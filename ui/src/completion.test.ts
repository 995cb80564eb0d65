import { expect, it } from "vitest";

import { offers, taken } from "./completion";

const METRICS = ["node_memory_MemFree_bytes", "node_memory_MemTotal_bytes", "process_threads"];
const LABELS = ["__name__", "id", "unit"];
const of = (text: string) => offers(text, text.length, METRICS, LABELS);

it("metrics and functions go on from the word that is written", () => {
  expect(of("sum(node_memory_MemF")).toEqual({ from: 4, words: ["node_memory_MemFree_bytes"] });
  expect(of("MemTotal")?.words).toEqual(["node_memory_MemTotal_bytes"]);
  expect(of("topk(5, process_th")?.words).toEqual(["process_threads"]);
});

it("inside braces they are labels, inside quotes nothing", () => {
  expect(of("up{")?.words).toEqual(["id", "unit"]);
  expect(of('up{id="')).toBeNull();
  expect(of('up{id="\\"')).toBeNull();
  expect(of("s")).toBeNull();
});

it("a word that is taken replaces the one that was begun, whole", () => {
  const text = "sum(process_xyz) + 1";
  const caret = "sum(process_".length;
  expect(taken(text, caret, { from: 4, words: [] }, "process_threads")).toEqual({ text: "sum(process_threads) + 1", caret: 19 });
});
