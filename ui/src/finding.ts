// A finding of a check-up, a mark on the axis, a reason of a backtest in a sentence, composed of their
// values: for a reader whose language the recorder does not speak.

import type { Finding, Growing, Mark, Now, Values } from "./documents";
import { amount, bytes, percent, plain, rate, short, span } from "./format";
import { causeName } from "./told";
import { isSentence, isWord, type Say, type Tell } from "./words";

/** Null of what this page does not know, or has no values for: the recorder's own sentence has to do. */
export function findingTold(tell: Tell, say: Say, finding: Finding, now: Now): string | null {
  const { subject, values } = finding;
  if (!subject || !values) return null;
  if (subject === "growth") return growing(tell, say, values, now);
  const sentence = subject === "kills-since-boot" && values.count === 0 ? "found.killsUnnamed" : `found.${subject}`;
  if (!isSentence(sentence)) return null;
  return [tell(sentence, given(values)), ...more(tell, say, subject, values, now)].join("");
}

function given(of: Values): Record<string, string | number> {
  return {
    owner: short(of.owner ?? ""),
    bytes: bytes(of.bytes),
    of: bytes(of.of_bytes),
    all: of.of_count ?? "–",
    share: shareOf(of),
    count: of.count ?? "–",
    percent: of.percent ?? "–",
    span: span(of.seconds),
    names: of.names.map(short).join("、"),
  };
}

/** As the recorder says it below: never more than it is. */
function shareOf({ bytes, of_bytes: of }: Values): string {
  if (bytes === null || !of) return "–";
  const permille = Math.floor((bytes / of) * 1000);
  return percent(permille < 100 ? permille / 10 : Math.floor(permille / 10));
}

/** What is said beside it, where that is known. */
function more(tell: Tell, say: Say, subject: string, of: Values, now: Now): string[] {
  const others = of.names.length - 1;
  const low = now.memory.low_watermark_bytes;
  switch (subject) {
    case "hanging":
      return [
        ...(of.of_bytes === null ? [] : [tell("found.at", { limit: bytes(of.of_bytes) })]),
        ...(of.seconds === null ? [] : [tell("found.for", { span: span(of.seconds) })]),
      ];
    case "memory-low":
      return low !== null && of.bytes !== null && of.bytes < low ? [tell("found.below", { low: bytes(low) })] : [];
    case "kills":
      return [
        ...(of.limit_owner === null ? [] : [tell("found.limitOf", { place: short(of.limit_owner) })]),
        ...(of.of_count === null ? [] : [tell("found.since", { all: of.of_count })]),
      ];
    case "restart-storm":
    case "given-up":
      return others > 0 ? [tell("found.more", { n: others })] : [];
    case "ends":
      return [tell("found.causes", { causes: now.ends.by_cause.map(({ cause, count }) => `${causeName(say, cause)} × ${count}`).join("、") })];
    default:
      return [];
  }
}

/** What grows stands in full beside the findings; without that there is no rate to tell. */
function growing(tell: Tell, say: Say, { owner, names }: Values, now: Now): string | null {
  const found = (now.growth?.items ?? []).find((item) => item.owner.name === owner && item.resource === names[0]);
  if (!found || found.rate_bytes_per_hour === null) return null;
  const words = { owner: short(found.owner.name), resource: resourceName(say, found.resource), rate: rate(found.rate_bytes_per_hour, found.unit) };
  return `${tell(found.verdict === "leak" ? "found.leak" : "found.growth", words)}${left(tell, found)}`;
}

function left(tell: Tell, { limit_bytes: limit, seconds_to_limit: seconds, unit }: Growing): string {
  if (seconds === null) return "";
  const words = { span: span(seconds), limit: amount(limit, unit) };
  if (limit === null) return tell(seconds === 0 ? "found.fullMachine" : "found.leftMachine", words);
  return tell(seconds === 0 ? "found.full" : "found.left", words);
}

/** What happened at a mark; of a death and a growth whose, and what. */
export function markTold(tell: Tell, say: Say, { kind, owner, what }: Mark): string | null {
  const sentence = kind === "recorder" ? `mark.recorder.${what ?? ""}` : `mark.${kind}`;
  if (!isSentence(sentence)) return null;
  if (kind === "boot" || kind === "recorder") return tell(sentence);
  if (!owner || (kind !== "restart" && !what)) return null;
  return tell(sentence, { owner: short(owner), cause: causeName(say, what ?? ""), resource: resourceName(say, what ?? "") });
}

/** Why a rule did not fire, by the kind of the reason; the figures stand in the recorder's own sentence. */
export function reasonTold(tell: Tell, kind: string): string | null {
  const sentence = `not.${kind}`;
  return isSentence(sentence) ? tell(sentence) : null;
}

/** A code of the server as people call it; one that is newer than this page as it is. */
const named = (say: Say, kind: "resource" | "verdict" | "root", code: string): string => {
  const word = `${kind}.${code}`;
  return isWord(word) ? say(word) : plain(code);
};

export const resourceName = (say: Say, resource: string): string => named(say, "resource", resource);
export const verdictName = (say: Say, verdict: string): string => named(say, "verdict", verdict);
export const rootCauseName = (say: Say, cause: string): string => named(say, "root", cause);
