// What is claimed of a death, by its weight: what it was, what goes with that, and what it was not.

import type { Claim, Death } from "./documents";

export interface Weighed {
  main: Claim[];
  rest: Claim[];
  not: Claim[];
}

/** How the recorder begins to speak of a root cause that holds, and of one that does not. */
const ROOT = /^A root cause is /;
const NO_ROOT = /^The root cause is not /;

export function weighed({ claims, reasons, ruled_out: ruledOut = [] }: Pick<Death, "claims" | "reasons" | "ruled_out">): Weighed {
  const reasoned = new Set(reasons.map(({ text }) => text));
  const holds = claims.filter(({ text }) => !NO_ROOT.test(text));
  const main = holds.filter(({ text }) => reasoned.has(text) || ROOT.test(text));
  return {
    main,
    rest: holds.filter((claim) => !main.includes(claim)),
    not: [...claims.filter(({ text }) => NO_ROOT.test(text)), ...ruledOut],
  };
}
