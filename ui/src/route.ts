// Where one is: all of it stands behind the `#` of the address, so that a link shows the same.

import { useEffect, useState } from "preact/hooks";

export const VIEWS = ["now", "time", "deaths", "growth", "alerts", "explore"] as const;
/** Those that the head leads to, and those that are reached from them. */
const PLACES = [...VIEWS, "owner"] as const;
export type View = (typeof PLACES)[number];

export interface Route {
  view: View;
  /** Which one of them, such as a death. */
  id: string | null;
  with: Record<string, string>;
}

export function read(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [name = "", id] = path.split("/", 2);
  const view = PLACES.find((view) => view === name) ?? "now";
  return { view, id: id ? decode(id) : null, with: Object.fromEntries(new URLSearchParams(query)) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function write(route: Route): string {
  const query = new URLSearchParams(Object.entries(route.with).filter(([, value]) => value !== ""));
  const id = route.id === null ? "" : `/${encodeURIComponent(route.id)}`;
  const rest = query.toString();
  return `#/${route.view}${id}${rest ? `?${rest}` : ""}`;
}

/** The address of a view. */
export function link(view: View, id: string | null = null, given: Record<string, string> = {}): string {
  return write({ view, id, with: given });
}

export function go(hash: string): void {
  location.hash = hash;
}

/** Changes what stands behind the `?`; no step back leads to every shade of it. */
export function set(route: Route, change: Record<string, string>, isStep = false): void {
  const next = write({ ...route, with: { ...route.with, ...change } });
  if (isStep) {
    go(next);
    return;
  }
  history.replaceState(null, "", next);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => read(location.hash));
  useEffect(() => {
    const follow = (): void => setRoute(read(location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return route;
}

/** A span of time on an axis, in milliseconds. */
export interface Span {
  from: number;
  to: number;
  /** It goes on: its end is now. */
  isLive: boolean;
}

const HOUR = 3_600_000;

/** The longest that can be looked at, and the shortest. */
const MOST = 400 * 24 * HOUR;
const LEAST = 10_000;

/** The span that a route names: `from` and `to`, or the `last` so many seconds. */
export function spanOf(route: Route, now: number): Span {
  const from = Number(route.with["from"]);
  const to = Number(route.with["to"]);
  if (Number.isFinite(from) && Number.isFinite(to) && from > 0 && to > from) {
    return { from: Math.max(from, to - MOST), to: Math.max(to, from + LEAST), isLive: false };
  }
  const last = Number(route.with["last"] ?? HOUR / 1000) * 1000;
  const wide = Number.isFinite(last) ? Math.min(Math.max(last, LEAST), MOST) : HOUR;
  return { from: now - wide, to: now, isLive: true };
}

/** How a route names a span. */
export function named(span: Span): Record<string, string> {
  if (span.isLive) {
    return { last: String(Math.round((span.to - span.from) / 1000)), from: "", to: "" };
  }
  return { from: String(Math.round(span.from)), to: String(Math.round(span.to)), last: "" };
}
