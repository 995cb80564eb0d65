// What may be meant by the word that somebody is writing.

/** The words that PromQL itself has, as far as one asks with them. */
const WORDS = [
  "abs avg avg_over_time bottomk by changes clamp_max clamp_min count count_over_time delta deriv group_left",
  "group_right histogram_quantile holt_winters ignoring increase irate label_join label_replace last_over_time max",
  "max_over_time min min_over_time offset on predict_linear quantile quantile_over_time rate resets round sort",
  "sort_desc stddev stddev_over_time sum sum_over_time time timestamp topk without",
]
  .join(" ")
  .split(" ");

/** Fewer letters say too little. */
const LEAST = 2;

/** So many are offered. */
const MOST = 12;

export interface Offer {
  /** Where in the text the word begins. */
  from: number;
  words: string[];
}

/** The words that go on like the one before `caret`; inside braces labels, elsewhere metrics and functions. */
export function offers(text: string, caret: number, metrics: string[], labels: string[]): Offer | null {
  const before = text.slice(0, caret);
  const quotes = before.replace(/\\./g, "").match(/"/g)?.length ?? 0;
  if (quotes % 2 === 1) return null;
  const word = /[\w:]*$/.exec(before)?.[0] ?? "";
  const from = caret - word.length;
  const isInside = before.lastIndexOf("{") > before.lastIndexOf("}");
  if (word.length < (isInside ? 0 : LEAST)) return null;
  const known = isInside ? labels.filter((label) => label !== "__name__") : [...WORDS, ...metrics];
  const begins = known.filter((one) => one.startsWith(word) && one !== word);
  const contains = known.filter((one) => !one.startsWith(word) && one.includes(word));
  const words = [...begins, ...contains].slice(0, MOST);
  return words.length > 0 ? { from, words } : null;
}

/** The text with the word taken, and where one writes on. */
export function taken(text: string, caret: number, offer: Offer, word: string): { text: string; caret: number } {
  const end = caret + (/^[\w:]*/.exec(text.slice(caret))?.[0].length ?? 0);
  const whole = text.slice(0, offer.from) + word + text.slice(end);
  return { text: whole, caret: offer.from + word.length };
}
