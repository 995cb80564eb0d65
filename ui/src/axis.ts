// The marks of an axis: round amounts, round moments, and how they are written.

/** Round numbers of the units that bytes are told in, or of ten: at most as many as there are `places`. */
export function amounts(high: number, places: number, low = 0): number[] {
  const wanted = (high - low) / Math.max(2, places);
  let step = 1;
  if (high - low > 4096) {
    while (step < wanted) step *= 2;
  } else {
    const ten = 10 ** Math.floor(Math.log10(wanted || 1));
    step = [1, 2, 5].map((of) => of * ten).find((of) => of >= wanted) ?? ten * 10;
  }
  const all: number[] = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) all.push(at);
  return all;
}

/** Steps of a clock, in seconds. */
const STEPS = [1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 259_200, 345_600, 604_800, 1_209_600, 2_592_000];

/** Round moments of the clock here between two, in seconds, and the step from one to the next. */
export function moments(from: number, to: number, places: number): { all: number[]; step: number } {
  const wanted = (to - from) / Math.max(1, places);
  const step = STEPS.find((step) => step >= wanted) ?? 7_776_000;
  // Days begin at midnight here, not in Greenwich.
  const shift = new Date(from * 1000).getTimezoneOffset() * 60;
  const all: number[] = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) all.push(at);
  return { all, step };
}

const two = (value: number): string => String(value).padStart(2, "0");

/** The time of day, seconds only where they tell something; the date at the first and where it changes. */
export function times(moments: number[], step: number): string[] {
  let last = "";
  return moments.map((moment) => {
    const at = new Date(moment * 1000);
    const day = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    const time = `${two(at.getHours())}:${two(at.getMinutes())}${step < 60 ? `:${two(at.getSeconds())}` : ""}`;
    const isNew = day !== last && (last !== "" || step >= 3600);
    last = day;
    return step >= 86_400 ? day : isNew ? `${day} ${time}` : time;
  });
}
