// Time travel: one axis for everything, and any moment as it was.

import { document as ask, query, range, type Curve } from "../api";
import { piled, plot } from "../curves";
import type { Mark } from "../documents";
import { markTold } from "../finding";
import { bytes, clock, percent, plain, short, utc } from "../format";
import { useLive } from "../live";
import { thinned } from "../marks";
import { makeupOf, MEMORY } from "../memory";
import { literal, owners, OWNERS, PROCESSES, USAGES } from "../owners";
import { ownerOf, ownerOfProcess } from "../owner";
import { Chart, type Moment } from "../parts/chart";
import { Controls } from "../parts/controls";
import { Holders } from "../parts/holders";
import { Lane } from "../parts/lane";
import { Notice, Shown } from "../parts/notice";
import { Processes } from "../parts/processes";
import { Sign } from "../parts/sign";
import { Whole } from "../parts/whole";
import { Own } from "../parts/said";
import { link, named, type Route, type Span } from "../route";
import { frame, jump, key, lines, PIXELS, useAxis, useTimeKeys, type Shared } from "../travel";
import { useSay, useTell } from "../words";

const EVERY_MS = 10_000;

/** Owners that are drawn: more lines are no longer told apart. */
const LINES = 6;

export function Time({ route }: { route: Route }) {
  const say = useSay();
  const axis = useAxis(route);
  const { span, at, go } = axis;
  const marks = useLive("events", EVERY_MS, async (signal) => (await ask<{ events: Mark[] }>("events", signal)).events, "events");
  const within = (marks.value ?? []).filter((mark) => Date.parse(mark.at) >= span.from && Date.parse(mark.at) <= span.to);
  const moments = (marks.value ?? []).map((mark) => Date.parse(mark.at));
  useTimeKeys(route, axis, moments);
  const shared = { ...axis, lines: lines(axis, lined(within, span)) };
  return (
    <>
      <div class="title">
        <h1>{say("time.title")}</h1>
        <Controls route={route} span={span} go={go} jump={(way) => jump(route, span, at, moments, way)} />
      </div>
      <section class="stack" aria-label={say("time.title")}>
        <p class="soft">{say("time.pick")}</p>
        <Lane marks={within} span={span} />
        <MemoryChart {...shared} />
        <OwnersChart {...shared} />
        <StallsChart {...shared} />
      </section>
      <Then at={at} isLive={span.isLive && !route.with["at"]} given={{ ...named(span), at: route.with["at"] ?? "" }} />
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

const lined = (marks: Mark[], span: Span): Moment[] => thinned(marks, span, Math.min(PIXELS, innerWidth) / 8).map(({ mark }) => ({ at: Date.parse(mark.at), colour: COLOURS[mark.kind] }));

const COLOURS: Record<Mark["kind"], string> = {
  death: "critical",
  growth: "warning",
  restart: "accent",
  boot: "line-strong",
  recorder: "line-strong",
};

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
    const both = ["some", "full"].map(async (kind) => {
      const { all } = await range(`highwater_memory_pressure_${kind}_avg10_ratio * 100`, span, step, signal);
      return all.slice(0, 1).map(({ points }) => ({ labels: { kind }, points }));
    });
    return (await Promise.all(both)).flat();
  });
  return (
    <Shown live={curves}>
      {(curves) => {
        const drawn = plot(curves, step, ({ labels }) => ({ label: say(`pressure.${labels["kind"] === "full" ? "full" : "some"}`), colour: labels["kind"] === "full" ? "curve-2" : "curve-6" }));
        return <Chart {...frame(shared)} title={say("time.stalls")} plot={drawn} height={84} format={percent} most={1} />;
      }}
    </Shown>
  );
}

/** The machine at one moment. */
function Then({ at, isLive, given }: { at: number; isLive: boolean; given: Record<string, string> }) {
  const say = useSay();
  const then = useLive(`then ${at}`, null, async (signal) => {
    const asked = [MEMORY, OWNERS, USAGES, PROCESSES].map((expr) => query(expr, at, signal));
    const [memory, sums, usages, processes] = (await Promise.all(asked)).map((answer) => answer.all);
    return { at, memory: makeupOf(memory ?? []), owners: owners(sums ?? [], usages ?? []), processes: processes ?? [] };
  });
  // The moment of what is shown, until the next has come.
  const shown = then.value?.at ?? at;
  return (
    <section class="panel" aria-live={isLive ? "off" : "polite"} aria-busy={then.isOld || undefined}>
      <header>
        <h2 title={utc(shown)}>{say("time.then", { at: clock(shown, Date.now()) })}</h2>
        <span class="soft mono">{utc(shown)}</span>
      </header>
      <Shown live={then}>
        {({ memory, owners, processes }) =>
          memory === null ? (
            <Notice head={say("empty.samples")} what={say("empty.samplesDo")} />
          ) : (
            <>
              <Whole of={memory} low={null} min={null} />
              <div class="panels is-uneven">
                <Holders given={given} all={owners.map((owner) => ({ ...owner, name: owner.id, owner: ownerOf(owner), growing: null }))} />
                <Processes
                  given={given}
                  all={processes.map(({ labels, value }) => ({
                    pid: labels["pid"] ?? "",
                    comm: labels["comm"] ?? "",
                    owner: labels["unit"] ?? labels["container"] ?? labels["id"] ?? "",
                    whose: ownerOfProcess(labels),
                    anon: value,
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
  const tell = useTell();
  const told = (mark: Mark) => (tell && markTold(tell, say, mark)) ?? <Own text={mark.text} />;
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
            <span class={`event-${mark.kind}`}>
              <Sign kind={mark.kind} /> {say(`event.${mark.kind}`)}
            </span>{" "}
            <span class="said" title={plain(mark.text)}>
              {mark.id ? <a href={link("deaths", mark.id)}>{told(mark)}</a> : told(mark)}
            </span>
          </li>
        ))}
    </ul>
  );
}
