// Moving along an axis of time: by keys, from event to event, with the moment that is looked at.

import { useEffect, useRef } from "preact/hooks";

import { stepMs } from "./curves";
import { useNow } from "./live";
import type { Moment } from "./parts/chart";
import { isTyping } from "./parts/typing";
import { named, set, spanOf, type Route, type Span } from "./route";

/** How wide a chart is, for what it asks: the finest that can be seen. */
export const PIXELS = 1400;

/** The moment that a route names, the end of the span without one. */
function momentOf(route: Route, span: Span): number {
  const at = Number(route.with["at"]);
  return Number.isFinite(at) && at > 0 ? at : span.to;
}

/** A live axis moves this often. */
const EVERY_MS = 10_000;

/** An axis of time and the moment on it that is looked at, as the address has them. */
export interface Axis {
  span: Span;
  step: number;
  at: number;
  go: (span: Span) => void;
  pick: (at: number) => void;
}

export function useAxis(route: Route): Axis {
  const isLive = !route.with["from"];
  const now = useNow(isLive ? EVERY_MS : null);
  const span = spanOf(route, now);
  return {
    span,
    step: stepMs(span, PIXELS),
    at: momentOf(route, span),
    go: (next) => set(route, { ...named(next), at: "" }, true),
    pick: (moment) => set(route, { ...(isLive ? {} : named(span)), at: String(Math.round(moment)) }),
  };
}

/** What the charts of a view have in common. */
export interface Shared extends Axis {
  lines: Moment[];
}

/** What happened, and the moment that is looked at: at the end of the axis it needs no line. */
export function lines({ at, span }: Axis, happened: Moment[]): Moment[] {
  const chosen: Moment[] = at < span.to ? [{ at, colour: "accent", isChosen: true }] : [];
  return [...(happened.length > LINED ? [] : happened), ...chosen];
}

/** More lines than this would hide the curves; the lane above has them all the same. */
const LINED = 40;

/** A chart that moves with the others of its view. */
export const frame = ({ span, lines, go, pick }: Shared) => ({
  span,
  marks: lines,
  together: "axis",
  onZoom: (from: number, to: number) => go({ from, to: Math.max(to, from + 10_000), isLive: false }),
  onPick: pick,
});

/** What an answer over a span is known by. */
export const key = (span: Span): string => `${span.from} ${span.to}`;

/** To the event before or after the moment that is shown; it comes to stand in the middle if it is outside. */
export function jump(route: Route, span: Span, at: number, moments: number[], way: -1 | 1): void {
  const all = [...moments].sort((a, b) => a - b);
  const next = way > 0 ? all.find((moment) => moment > at + 500) : all.findLast((moment) => moment < at - 500);
  if (next === undefined) return;
  const half = (span.to - span.from) / 2;
  const isInside = next >= span.from && next <= span.to;
  const around = isInside ? { ...span, isLive: false } : { from: next - half, to: next + half, isLive: false };
  set(route, { ...named(around), at: String(next) });
}

/** Arrows step, plus and minus zoom, brackets jump, `l` follows. */
export function useTimeKeys(route: Route, { span, at }: Axis, moments: number[]): void {
  const known = useRef({ route, span, at, moments });
  known.current = { route, span, at, moments };
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.altKey || event.metaKey || isTyping(event.target)) return;
      const { route, span, at, moments } = known.current;
      const done = act(event.key, event.shiftKey, route, span, at, moments);
      if (done) event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}

function act(key: string, isFar: boolean, route: Route, span: Span, at: number, moments: number[]): boolean {
  const wide = span.to - span.from;
  const step = Math.max(stepMs(span, PIXELS), wide / (isFar ? 10 : 100));
  const still = { ...span, isLive: false };
  switch (key) {
    case "ArrowLeft":
    case "ArrowRight": {
      const next = at + (key === "ArrowLeft" ? -step : step);
      const moved = next < span.from ? -wide / 2 : next > span.to ? wide / 2 : 0;
      set(route, { ...named({ ...still, from: span.from + moved, to: span.to + moved }), at: String(Math.round(next)) });
      return true;
    }
    case "+":
    case "=":
    case "-": {
      const half = (wide * (key === "-" ? 2 : 0.5)) / 2;
      set(route, { ...named({ from: at - half, to: at + half, isLive: false }), at: String(Math.round(at)) });
      return true;
    }
    case "[":
    case "]":
      jump(route, span, at, moments, key === "[" ? -1 : 1);
      return true;
    case "l":
      set(route, { ...named({ ...span, isLive: true }), at: "" });
      return true;
    default:
      return false;
  }
}

