// Numbers, times and names as people read them. Nothing here knows of the page.

const BYTES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Three digits and a unit: `1.25 GiB`, `63.7 MiB`, `412 B`. */
export function bytes(amount: number | null | undefined): string {
  if (amount === null || amount === undefined || Number.isNaN(amount)) return "–";
  if (!Number.isFinite(amount)) return "∞";
  let value = Math.abs(amount);
  let unit = 0;
  while (value >= 1023.5 && unit < BYTES.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${amount < 0 ? "−" : ""}${digits(value, unit === 0)} ${BYTES[unit]}`;
}

/** An amount of a thing that is counted or measured in bytes. */
export function amount(value: number | null | undefined, unit: string): string {
  if (unit === "bytes" || value === null || value === undefined) return bytes(value);
  return Math.round(value).toLocaleString("en");
}

function digits(value: number, isWhole: boolean): string {
  if (isWhole || value >= 99.95) return String(Math.round(value));
  const text = value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
  return text.replace(/\.?0+$/, "");
}

/** `12 %`, `0.4 %`. */
export function share(part: number, whole: number): string {
  if (!(whole > 0)) return "–";
  return percent((part / whole) * 100);
}

/** A number of percent: `12 %`, `0.4 %`, `< 0.1 %`, `0 %`. */
export function percent(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value > 0 && value < 0.05) return "< 0.1 %";
  if (value !== 0 && Math.abs(value) < 9.95) return `${value.toFixed(1)} %`;
  return `${Math.round(value)} %`;
}

/** The rate of a growth in the unit of time that gives a number one can picture. */
export function rate(perHour: number, unit: string): string {
  const size = Math.abs(perHour);
  const one = unit === "bytes" ? 1024 * 1024 : 1;
  if (size / 60 >= one * 10) return `${amount(perHour / 60, unit)}/min`;
  if (size >= one * 4) return `${amount(perHour, unit)}/h`;
  return `${amount(perHour * 24, unit)}/d`;
}

const SPANS: [number, string][] = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** The two largest units of a span: `2 d 3 h`, `4 min`, `12 s`. */
export function span(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  let rest = Math.max(0, Math.round(seconds));
  const at = SPANS.findIndex(([size]) => rest >= size);
  if (at < 0) return "0 s";
  const parts: string[] = [];
  for (const [size, name] of SPANS.slice(at, at + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${name}`);
  }
  return parts.join(" ");
}

const two = (value: number): string => String(value).padStart(2, "0");

/** The time of day here, with its date unless that is today's: `04:11:02`, `Nov 20 04:11:02`. */
export function clock(millis: number, now: number): string {
  const at = new Date(millis);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  if (at.toDateString() === new Date(now).toDateString()) return time;
  return `${day(at)} ${time}`;
}

function day(at: Date): string {
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** The same moment for everybody: `2026-11-21T04:11:02Z`. */
export function utc(millis: number): string {
  return new Date(millis).toISOString().replace(/\.\d+Z$/, "Z");
}

/**
 * A text from elsewhere, so that it can neither hide nor turn anything: characters that control a
 * terminal, the direction of writing or the breaking of lines are written out.
 */
export function plain(text: string): string {
  return text.replace(HIDDEN, (sign) => `\\u{${(sign.codePointAt(0) ?? 0).toString(16)}}`);
}

/** A name as one row of many shows it: of an id that nobody reads to its end, the beginning. */
export function short(name: string): string {
  return plain(name).replace(/[0-9a-f]{32,}/g, (id) => `${id.slice(0, 12)}…`);
}

const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|[\uD800-\uDFFF](?![\uDC00-\uDFFF])/gu;
