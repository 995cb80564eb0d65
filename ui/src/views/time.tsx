// Time travel: one axis for everything, and any moment as it was.

import { useEffect, useRef } from "preact/hooks";

import { document as ask, query, range, type Curve } from "../api";
import { piled, plot, stepMs } from "../curves";
import type { Mark } from "../documents";
import { bytes, clock, percent, plain, short, utc } from "../format";
import { useLive, useNow } from "../live";
import { makeupOf, MEMORY } from "../memory";
import { literal, owners, OWNERS, PROCESSES, USAGES } from "../owners";
import { Chart, type Moment } from "../parts/chart";
import { Controls } from "../parts/controls";
import { Holders, Processes } from "../parts/holders";
import { Lane } from "../parts/lane";
import { Notice, Shown } from "../parts/notice";
import { Whole } from "../parts/whole";
import { isTyping } from "../parts/typing";
import { link, named, set, spanOf, type Route, type Span } from "../route";
import { useSay } from "../words";

/** A live axis moves this often. */
const EVERY_MS = 10_000;

/** Owners that are drawn: more lines are no longer told apart. */
const LINES = 6;

/** How wide a chart is, for what it asks: the finest that can be seen. */
const PIXELS = 1400;

export function Time({ route }: { route: Route }) {
  const say = useSay();
  const isLive = !route.with["from"];
  const now = useNow(isLive ? EVERY_MS : null);
  const span = spanOf(route, now);
  const step = stepMs(span, PIXELS);
  const at = momentOf(route, span);
  const marks = useLive("events", EVERY_MS, async (signal) => (await ask<{ events: Mark[] }>("events", signal)).events, "events");
  const within = (marks.value ?? []).filter((mark) => Date.parse(mark.at) >= span.from && Date.parse(mark.at) <= span.to);
  const go = (next: Span): void => set(route, { ...named(next), at: "" }, true);
  const pick = (moment: number): void => set(route, { ...(isLive ? {} : named(span)), at: String(Math.round(moment)) });
  useTimeKeys(route, span, at, marks.value ?? []);
  const shared = { span, step, at, go, pick, lines: [...within.map(drawn), { at, colour: "accent" }] };
  return (
    <>
      <div class="title">
        <h1>{say("time.title")}</h1>
        <Controls route={route} span={span} go={go} jump={(way) => jump(route, span, at, marks.value ?? [], way)} />
      </div>
      <section class="stack" aria-label={say("time.title")}>
        <p class="soft">{say("time.pick")}</p>
        <Lane marks={within} span={span} />
        <MemoryChart {...shared} />
        <OwnersChart {...shared} />
        <StallsChart {...shared} />
      </section>
      <Then at={at} isLive={isLive && !route.with["at"]} />
      <section class="panel">
        <header>
          <h2>{say("time.events")}</h2>
          <span class="soft">{within.length}</span>
        </header>
        <Shown live={marks}>{() => <Events all={within} />}</Shown>
      </section>
    </>
  );
}

function momentOf(route: Route, span: Span): number {
  const at = Number(route.with["at"]);
  return Number.isFinite(at) && at > 0 ? at : span.to;
}

const drawn = (mark: Mark): Moment => ({ at: Date.parse(mark.at), colour: COLOURS[mark.kind] });

const COLOURS: Record<Mark["kind"], string> = {
  death: "critical",
  growth: "warning",
  restart: "accent",
  boot: "line-strong",
  recorder: "line-strong",
};

interface Shared {
  span: Span;
  step: number;
  at: number;
  lines: Moment[];
  go: (span: Span) => void;
  pick: (at: number) => void;
}

const frame = ({ span, lines, go, pick }: Shared) => ({
  span,
  marks: lines,
  together: "time",
  onZoom: (from: number, to: number) => go({ from, to: Math.max(to, from + 10_000), isLive: false }),
  onPick: pick,
});

const key = (span: Span): string => `${span.from} ${span.to}`;

function MemoryChart(shared: Shared) {
  const say = useSay();
  const { span, step } = shared;
  const curves = useLive(key(span), null, async (signal) => (await range(MEMORY, span, step, signal)).all);
  return (
    <Shown live={curves}>
      {(curves) => {
        const drawn = piled(curves, step, (kind) => say(`memory.${kind}`));
        if (drawn.at.length === 0) return <Notice head={say("empty.samples")} what={say("empty.samplesDo")} />;
        return <Chart {...frame(shared)} title={say("memory.title")} plot={drawn} height={180} isPiled format={bytes} />;
      }}
    </Shown>
  );
}

/** The owners that were largest at some moment of the span. */
async function largest(span: Span, step: number, signal: AbortSignal): Promise<Curve[]> {
  const seconds = Math.ceil((span.to - span.from) / 1000);
  const sum = "highwater_owner_resident_anon_bytes";
  const top = await query(`topk(${LINES}, max by (kind, id) (max_over_time(${sum}{kind!="other"}[${seconds}s])))`, span.to, signal);
  const ids = top.all.map((one) => literal(one.labels["id"] ?? ""));
  if (ids.length === 0) return [];
  return (await range(`sum by (kind, id) (${sum}{id=~"${ids.join("|")}"})`, span, step, signal)).all;
}

function OwnersChart(shared: Shared) {
  const say = useSay();
  const { span, step } = shared;
  const curves = useLive(key(span), null, (signal) => largest(span, step, signal));
  return (
    <Shown live={curves}>
      {(curves) => {
        let place = 0;
        const drawn = plot(curves, step, (curve) => ({ label: short(curve.labels["id"] ?? ""), colour: `curve-${(place++ % 8) + 1}` }));
        return <Chart {...frame(shared)} title={say("time.owners")} plot={drawn} height={150} format={bytes} />;
      }}
    </Shown>
  );
}

function StallsChart(shared: Shared) {
  const say = useSay();
  const { span, step } = shared;
  const curves = useLive(key(span), null, async (signal) => {
    const both = ["some", "full"].map((kind) => range(`highwater_memory_pressure_${kind}_avg10_ratio * 100`, span, step, signal));
    return (await Promise.all(both)).map((answer) => answer.all[0] ?? { labels: {}, points: [] });
  });
  return (
    <Shown live={curves}>
      {(curves) => {
        const names = [say("pressure.some"), say("pressure.full")];
        let place = 0;
        const drawn = plot(curves, step, () => ({ label: names[place] ?? "", colour: place++ === 0 ? "curve-6" : "curve-2" }));
        return <Chart {...frame(shared)} title={say("time.stalls")} plot={drawn} height={84} format={percent} most={1} />;
      }}
    </Shown>
  );
}

/** The machine at one moment. */
function Then({ at, isLive }: { at: number; isLive: boolean }) {
  const say = useSay();
  const then = useLive(`then ${at}`, null, async (signal) => {
    const asked = [MEMORY, OWNERS, USAGES, PROCESSES].map((expr) => query(expr, at, signal));
    const [memory, sums, usages, processes] = (await Promise.all(asked)).map((answer) => answer.all);
    return { memory: makeupOf(memory ?? []), owners: owners(sums ?? [], usages ?? []), processes: processes ?? [] };
  });
  return (
    <section class="panel" aria-live={isLive ? "off" : "polite"}>
      <header>
        <h2 title={utc(at)}>{say("time.then", { at: clock(at, Date.now()) })}</h2>
        <span class="soft mono">{utc(at)}</span>
      </header>
      <Shown live={then}>
        {({ memory, owners, processes }) =>
          memory === null ? (
            <Notice head={say("empty.samples")} what={say("empty.samplesDo")} />
          ) : (
            <>
              <Whole of={memory} low={null} min={null} />
              <div class="panels is-uneven">
                <Holders all={owners.map((owner) => ({ ...owner, name: owner.id, growing: null }))} />
                <Processes
                  all={processes.map(({ labels, value }) => ({
                    pid: labels["pid"] ?? "",
                    comm: labels["comm"] ?? "",
                    owner: labels["unit"] ?? labels["container"] ?? labels["id"] ?? "",
                    anon: value,
                    resident: null,
                  }))}
                />
              </div>
            </>
          )
        }
      </Shown>
    </section>
  );
}

/** So many are listed. */
const LISTED = 50;

function Events({ all }: { all: Mark[] }) {
  const say = useSay();
  if (all.length === 0) return <p class="soft">{say("time.noEvents")}</p>;
  return (
    <ul class="claims">
      {all
        .slice(-LISTED)
        .reverse()
        .map((mark) => (
          <li key={`${mark.at} ${mark.text}`}>
            <span class="mono soft" title={mark.at}>
              {clock(Date.parse(mark.at), Date.now())}
            </span>{" "}
            <span class={`event-${mark.kind}`}>{say(`event.${mark.kind}`)}</span>{" "}
            <span class="said">{mark.id ? <a href={link("deaths", mark.id)}>{plain(mark.text)}</a> : plain(mark.text)}</span>
          </li>
        ))}
    </ul>
  );
}

/** To the event before or after the moment that is shown; it comes to stand in the middle if it is outside. */
function jump(route: Route, span: Span, at: number, marks: Mark[], way: -1 | 1): void {
  const all = marks.map((mark) => Date.parse(mark.at)).sort((a, b) => a - b);
  const next = way > 0 ? all.find((moment) => moment > at + 500) : all.findLast((moment) => moment < at - 500);
  if (next === undefined) return;
  const half = (span.to - span.from) / 2;
  const isInside = next >= span.from && next <= span.to;
  const around = isInside ? { ...span, isLive: false } : { from: next - half, to: next + half, isLive: false };
  set(route, { ...named(around), at: String(next) });
}

/** Arrows step, plus and minus zoom, brackets jump, `l` follows. */
function useTimeKeys(route: Route, span: Span, at: number, marks: Mark[]): void {
  const known = useRef({ route, span, at, marks });
  known.current = { route, span, at, marks };
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.altKey || event.metaKey || isTyping(event.target)) return;
      const { route, span, at, marks } = known.current;
      const done = act(event.key, event.shiftKey, route, span, at, marks);
      if (done) event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}

function act(key: string, isFar: boolean, route: Route, span: Span, at: number, marks: Mark[]): boolean {
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
      jump(route, span, at, marks, key === "[" ? -1 : 1);
      return true;
    case "l":
      set(route, { ...named({ ...span, isLive: true }), at: "" });
      return true;
    default:
      return false;
  }
}

