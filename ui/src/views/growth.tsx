// Growth: what grows, the most urgent first, with what speaks for it and against it.

import { document as ask, range } from "../api";
import { plot, stepMs } from "../curves";
import type { Grower, Growth as Document } from "../documents";
import { series } from "../evidence";
import { resourceName, rootCauseName } from "../finding";
import { amount, clock, percent, plain, rate, span } from "../format";
import { useLive } from "../live";
import { ownerLink, ownerOf } from "../owner";
import { Chart } from "../parts/chart";
import { Claims } from "../parts/claim";
import { Notice, Shown } from "../parts/notice";
import { useSay } from "../words";

/** The server judges anew no sooner. */
const EVERY_MS = 120_000;

/** So many are shown in full. */
const SHOWN = 20;

export function Growth() {
  const say = useSay();
  const growth = useLive("growth", EVERY_MS, (signal) => ask<Document>("growth", signal), "events");
  return (
    <>
      <div class="title">
        <h1>{say("growth.title")}</h1>
        {growth.value && <span class="soft">{say("growth.as", { at: clock(Date.parse(growth.value.at), Date.now()) })}</span>}
      </div>
      <Shown live={growth}>{(growth) => <Ranking of={growth} />}</Shown>
    </>
  );
}

export function isGrowing(item: Grower): boolean {
  return (item.verdict === "leak" || item.verdict === "growing") && (item.rate_bytes_per_hour ?? 0) > 0;
}

function Ranking({ of }: { of: Document }) {
  const say = useSay();
  const all = of.items.filter(isGrowing);
  const steady = of.items.length - all.length;
  const most = Math.max(0, ...all.map(farthest));
  return (
    <>
      {all.length === 0 && <Notice head={say("growth.none")} what={say("growth.noneDo")} />}
      <ol class="entries">
        {all.slice(0, SHOWN).map((item, place) => (
          <li key={`${item.owner.id} ${item.resource}`} class="grower">
            <Head of={item} />
            <Runway of={item} most={most} />
            {place < 5 && <Course of={item} at={Date.parse(of.at)} />}
            <Grounds of={item} at={Date.parse(of.at)} />
          </li>
        ))}
      </ol>
      {steady > 0 && <p class="soft">{say("growth.steady", { n: steady })}</p>}
      {of.notes.map((note) => (
        <p key={note} class="soft said">
          {plain(note)}
        </p>
      ))}
    </>
  );
}

function Head({ of }: { of: Grower }) {
  const say = useSay();
  const said = (value: number | null): string => (value === null ? "–" : rate(value, of.unit));
  const verdict = of.verdict === "leak" ? "leak" : "growing";
  const whose = ownerOf(of.owner);
  return (
    <div>
      <h2 class="who">{whose ? <a href={ownerLink(whose)}>{plain(of.owner.name)}</a> : plain(of.owner.name)}</h2>
      <p class="facts">
        <span class={`tag is-${verdict}`}>{say(`verdict.${verdict}`)}</span>
        <span title={of.resource}>{resourceName(say, of.resource)}</span>
        {of.root_cause && <span class="soft">{say("growth.cause", { cause: rootCauseName(say, of.root_cause) })}</span>}
        <span class="soft">{say("growth.sure", { n: percent(of.confidence * 100) })}</span>
        {of.since && <span class="soft">{say("growth.since", { at: clock(Date.parse(of.since), Date.now()) })}</span>}
      </p>
      <p>{say("growth.rate", { rate: said(of.rate_bytes_per_hour), low: said(of.rate_low), high: said(of.rate_high) })}</p>
    </div>
  );
}

/** How much is left, as a bar, and when it is used up: the likely moment within its band. */
export function Runway({ of, most = farthest(of) }: { of: Grower; most?: number }) {
  const say = useSay();
  const { current_bytes: now, limit_bytes: limit, seconds_to_limit: left } = of;
  const said = (value: number | null): string => amount(value, of.unit);
  return (
    <div class="stack">
      <p>{limit === null ? say("growth.unlimited", { now: said(now) }) : say("growth.now", { now: said(now), limit: said(limit) })}</p>
      {limit !== null && now !== null && (
        <span class="level" aria-hidden="true">
          <span class="kind-anon" style={{ width: `${Math.min(100, (now / limit) * 100)}%` }} />
        </span>
      )}
      {left !== null && <Left of={of} left={left} most={most} />}
    </div>
  );
}

/** So far ahead is looked, in seconds: those that are compared share one axis, and what is near stands near its beginning. */
const farthest = ({ seconds_high: high, seconds_to_limit: left }: Grower): number => (high ?? (left ?? 0) * 2) * 1.15;

function Left({ of, left, most }: { of: Grower; left: number; most: number }) {
  const say = useSay();
  const low = of.seconds_low ?? left;
  const high = of.seconds_high;
  const at = (seconds: number): string => `${Math.min(100, (seconds / Math.max(1, most)) * 100)}%`;
  const band = high === null ? say("growth.never", { low: span(low) }) : say("growth.band", { low: span(low), high: span(high) });
  return (
    <>
      <p>
        <strong>{say("growth.left", { span: span(left) })}</strong> <span class="soft">{band}</span>
      </p>
      <div class="runway" aria-hidden="true">
        <span style={{ left: at(low), right: `calc(100% - ${at(high ?? most)})` }} />
        <i style={{ left: at(left) }} />
      </div>
    </>
  );
}

/** The course that was judged, and the limit that it runs into. */
function Course({ of, at }: { of: Grower; at: number }) {
  const evidence = of.claims.flatMap((claim) => claim.evidence);
  const found = evidence.map((one) => series(one.source, one.text, at)).find((shown) => shown !== null);
  if (!found) return null;
  const from = of.since === null ? found.from : Math.min(found.from, Date.parse(of.since));
  const wide = Math.max(at - from, 60_000);
  return <Drawn of={of} query={found.query} span={{ from: from - wide * 0.05, to: at }} />;
}

function Drawn({ of, query, span }: { of: Grower; query: string; span: { from: number; to: number } }) {
  const say = useSay();
  const step = stepMs(span, 900);
  const curves = useLive(`${query} ${span.to}`, null, async (signal) => (await range(query, span, step, signal)).all);
  return (
    <div class="wide">
      <Shown live={curves}>
        {(curves) => {
          const name = `${plain(of.owner.name)} · ${resourceName(say, of.resource)}`;
          const drawn = plot(curves.slice(0, 1), step, () => ({ label: resourceName(say, of.resource), colour: "curve-2" }));
          return <Chart title={name} plot={drawn} span={span} height={150} limit={of.limit_bytes} format={(value) => amount(value, of.unit)} />;
        }}
      </Shown>
    </div>
  );
}

export function Grounds({ of, at }: { of: Grower; at: number }) {
  const say = useSay();
  const pro = of.claims.filter((claim) => claim.speaks === "for");
  const contra = of.claims.filter((claim) => claim.speaks === "against");
  return (
    <details class="evidence wide">
      <summary>
        {say("growth.for")} · {pro.length}
      </summary>
      <Claims all={pro} at={at} />
      {contra.length > 0 && (
        <>
          <h2>{say("growth.against")}</h2>
          <Claims all={contra} at={at} />
        </>
      )}
      <h2>{say("growth.causes")}</h2>
      {of.root_causes.map((cause) => (
        <div key={cause.cause}>
          <p>
            <strong>{rootCauseName(say, cause.cause)}</strong> <span class="soft">{say(cause.holds ? "growth.holds" : "growth.holdsNot")}</span>
          </p>
          <Claims all={[...cause.for, ...cause.against]} at={at} />
        </div>
      ))}
    </details>
  );
}
