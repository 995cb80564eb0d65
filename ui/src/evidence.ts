// From a claim to what it stands on: the commands and series that the words of the server name.

import { link, named } from "./route";

/** A command at the end of a sentence, which the page has a place for instead. */
const COMMAND = /: highwater (why|leaks|restarts|agent|store)\b.*$/;

/** A sentence without the command that stands behind it, and the view that shows the same. */
export function split(text: string): { text: string; view: "deaths" | "growth" | null } {
  const command = COMMAND.exec(text);
  if (!command) return { text, view: null };
  const view = command[1] === "leaks" ? "growth" : command[1] === "agent" || command[1] === "store" ? null : "deaths";
  return view ? { text: `${text.slice(0, command.index)}.`, view } : { text, view };
}

/** What a series is called at the beginning of a text of evidence, and where that ends. */
const SERIES = /^[a-zA-Z_:][\w:]*(?:\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\})?(?=: )/;
const MOMENT = /\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z/g;
const LONG = /in (?:(\d+) d)? ?(?:(\d+) h)? ?(?:(\d+) min)? ?(?:(\d+) s)?/;

/** So much is shown around what is told of one moment. */
const AROUND_MS = 10 * 60_000;

export interface Shown {
  query: string;
  from: number;
  to: number;
}

/** The series and the span that evidence tells of; null where it tells of none. */
export function series(source: string, text: string, at: number | null): Shown | null {
  if (!source.includes("series")) return null;
  const query = SERIES.exec(text)?.[0];
  if (!query) return null;
  const told = [...text.matchAll(MOMENT)].map(([moment]) => Date.parse(moment)).filter(Number.isFinite);
  const end = told.length > 0 ? Math.max(...told) : at;
  if (end === null) return null;
  const begin = told.length > 1 ? Math.min(...told) : end - (lasted(text) ?? AROUND_MS);
  return { query, from: begin, to: end };
}

/** How long a course was, in milliseconds: `44 points in 5 min 25 s`. */
function lasted(text: string): number | null {
  const parts = LONG.exec(text)?.slice(1, 5).map((part) => Number(part ?? 0));
  const [d = 0, h = 0, min = 0, s = 0] = parts ?? [];
  const all = ((d * 24 + h) * 60 + min) * 60 + s;
  return all > 0 ? all * 1000 : null;
}

/** The address at which a series is drawn, with its span marked and some room around it. */
export function address(shown: Shown): string {
  const room = Math.max((shown.to - shown.from) * 0.25, 60_000);
  const span = named({ from: shown.from - room, to: shown.to + room, isLive: false });
  const marked = { mf: String(Math.round(shown.from)), mt: String(Math.round(shown.to)) };
  return link("explore", null, { q: shown.query, ...span, ...marked });
}
