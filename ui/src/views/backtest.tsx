// A backtest as a picture: what rules would have done over the history, and of what they would have warned.

import { useEffect, useState } from "preact/hooks";

import { drawn, type Stretch } from "../alerting";
import { document as ask, range, type Curve } from "../api";
import {
  apart,
  best,
  bound,
  claim,
  foremost,
  isBlind,
  isForetold,
  LIMIT,
  memoryOf,
  nearest,
  path,
  rows,
  shown,
  stretches,
  TYPED,
  warnings,
  type Backtest as Document,
  type Condition,
  type Incident,
  type Tried,
} from "../backtest";
import { plot, stepMs } from "../curves";
import type { Mark } from "../documents";
import { reasonTold } from "../finding";
import { bytes, clock, plain, short, span as spelled, utc } from "../format";
import { useLive } from "../live";
import { thinned } from "../marks";
import { Ask } from "../parts/ask";
import { Chart, type Band, type Moment } from "../parts/chart";
import { Claims } from "../parts/claim";
import { Notice, Shown } from "../parts/notice";
import { Own } from "../parts/said";
import { Sign } from "../parts/sign";
import { Meaning, moment, Spans } from "../parts/spans";
import { Waiting } from "../parts/waiting";
import { go, link, named, set, type Route } from "../route";
import { useSay, useTell, type Say } from "../words";
import { Tabs } from "./alerts";
import { format } from "./explore";

const LASTS_S = [86_400, 7 * 86_400, 30 * 86_400];
const SCRAPES_S = [15, 60, 300];
const WEEK_S = String(7 * 86_400);

/** So many incidents, alerts and silent rules are listed. */
const INCIDENTS = 20;
const LISTED = 30;

/** The server keeps an answer for as long. */
const EVERY_MS = 300_000;

export function Backtest({ route }: { route: Route }) {
  const say = useSay();
  const { rule = "", expr = "", last = WEEK_S, scrape = "" } = route.with;
  const hold = route.with["for"] ?? "";
  const asked = path({ last, scrape, expr, for: expr === "" ? "" : hold });
  const backtest = useLive(asked, EVERY_MS, (signal) => ask<Document>(asked, signal));
  // While another question is on its way the last answer is still there.
  const answer = backtest.isOld ? { ...backtest, value: null } : backtest;
  return (
    <>
      <div class="title">
        <h1>{say("backtest.title")}</h1>
        <Tabs at="backtest" />
      </div>
      <p class="soft said">{say("backtest.what")}</p>
      <Choices route={route} last={last} scrape={scrape} all={expr === "" ? (answer.value?.rules ?? []) : []} />
      <Typed route={route} expr={expr} hold={hold} />
      {answer.value === null && (answer.fault === null || answer.fault.trouble === "busy") ? (
        <Coming key={asked} isBusy={answer.fault !== null} last={Number(last)} />
      ) : (
        <Shown live={answer}>{(of) => <Outcome key={asked} of={of} route={route} chosen={of.rules.find(({ alert }) => alert === rule) ?? foremost(of)} />}</Shown>
      )}
    </>
  );
}

/** It takes its time; more than the server gives it, where much is on record or another one runs. */
function Coming({ isBusy, last }: { isBusy: boolean; last: number }) {
  const say = useSay();
  if (isBusy) return <Waiting head={say("backtest.busy")} what={say("backtest.busyDo")} />;
  return <Waiting head={say("backtest.runs", { span: spelled(last) })} what={say("backtest.runsDo")} />;
}

function Choices({ route, last, scrape, all }: { route: Route; last: string; scrape: string; all: Tried[] }) {
  const say = useSay();
  const names = [...new Set(all.map(({ alert }) => alert))].sort();
  const spans = LASTS_S.map(String);
  return (
    <div class="controls">
      <label>
        <span class="soft">{say("backtest.over")}</span>
        <select value={last} onChange={(event) => set(route, { last: event.currentTarget.value, from: "", to: "" }, true)}>
          {[...(spans.includes(last) ? [] : [last]), ...spans].map((seconds) => (
            <option key={seconds} value={seconds}>
              {say("time.last", { span: spelled(Number(seconds)) })}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span class="soft">{say("backtest.seen")}</span>
        <select value={scrape} onChange={(event) => set(route, { scrape: event.currentTarget.value }, true)}>
          <option value="">{say("backtest.all")}</option>
          {SCRAPES_S.map((seconds) => (
            <option key={seconds} value={String(seconds)}>
              {say("backtest.scraper", { span: spelled(seconds) })}
            </option>
          ))}
        </select>
      </label>
      {names.length > 0 && (
        <label>
          <span class="soft">{say("alerts.rule")}</span>
          <select value={route.with["rule"] ?? ""} onChange={(event) => set(route, { rule: event.currentTarget.value }, true)}>
            <option value="">{say("backtest.first")}</option>
            {names.map((name) => (
              <option key={name} value={name}>
                {plain(name)}
              </option>
            ))}
          </select>
        </label>
      )}
    </div>
  );
}

/** A rule that nobody wrote down yet. */
function Typed({ route, expr, hold }: { route: Route; expr: string; hold: string }) {
  const say = useSay();
  const [text, setText] = useState(expr);
  const [long, setLong] = useState(hold);
  useEffect(() => setText(expr), [expr]);
  useEffect(() => setLong(hold), [hold]);
  const send = (expr: string): void => set(route, { expr: expr.trim(), for: long.trim(), rule: "", from: "", to: "" }, true);
  return (
    <details class="typed" open={expr !== ""}>
      <summary>{say("backtest.own")}</summary>
      <div class="ask">
        <Ask text={text} write={setText} send={send} />
        <div class="controls">
          <label>
            <span class="soft">{say("alerts.for")}</span>
            <input class="short" type="text" placeholder="5m" value={long} onInput={(event) => setLong(event.currentTarget.value)} onKeyDown={(event) => event.key === "Enter" && send(text)} />
          </label>
          <button class="is-main" type="button" onClick={() => send(text)}>
            {say("backtest.try")}
          </button>
          {expr !== "" && (
            <button type="button" onClick={() => set(route, { expr: "", for: "", rule: "", from: "", to: "" }, true)}>
              {say("backtest.loaded")}
            </button>
          )}
        </div>
        <p class="soft">{say("backtest.ownDo")}</p>
      </div>
    </details>
  );
}

interface Drawn {
  of: Document;
  route: Route;
  chosen: Tried | null;
}

function Outcome({ of, route, chosen }: Drawn) {
  const say = useSay();
  const span = { from: Date.parse(of.from), to: Date.parse(of.to) };
  if (of.rules.length === 0) return <Notice head={say("alerts.noRules")} what={say("alerts.noRulesDo")} />;
  return (
    <>
      <section class={`verdict is-${verdictOf(of)}`}>
        <h2 class="who headline">{headline(of, say)}</h2>
        <p class="soft">
          {say(of.rules.length === 1 ? "backtest.oneSpan" : "backtest.span", { n: of.rules.length, span: spelled((span.to - span.from) / 1000), from: clock(span.from, 0), to: clock(span.to, 0) })}
          {of.scrape_seconds !== undefined && ` ${say("backtest.asScraped", { span: spelled(of.scrape_seconds) })}`}
        </p>
        {of.notes.map((note) => (
          <p key={note} class="soft said">
            <Own text={note} />
          </p>
        ))}
      </section>
      <Incidents of={of} route={route} />
      <Overview of={of} route={route} chosen={chosen} span={span} />
      {chosen && <Picture key={`${chosen.file} ${chosen.alert}`} of={of} route={route} rule={chosen} span={span} />}
      <Silent of={of} route={route} />
    </>
  );
}

function verdictOf(of: Document): string {
  if (of.incidents.length === 0) return "calm";
  return of.incidents.every(isForetold) ? "ok" : of.incidents.some(isForetold) ? "warning" : "critical";
}

function headline(of: Document, say: Say): string {
  const all = of.incidents.length;
  if (all === 0) return say("backtest.nothing");
  const told = of.incidents.filter(isForetold).length;
  if (all === 1) return say(told === 1 ? "backtest.oneTold" : "backtest.oneUntold");
  return told === all ? say("backtest.allTold", { n: all }) : say("backtest.someTold", { n: told, all });
}

const begun = (incident: Incident): number => Date.parse(incident.moments[0]?.at ?? "");

/** Each incident with who warned of it, and how long before. */
function Incidents({ of, route }: { of: Document; route: Route }) {
  const say = useSay();
  if (of.incidents.length === 0) return null;
  return (
    <section class="panel">
      <header>
        <h2>{say("backtest.happened")}</h2>
        <span class="soft">{of.incidents.length}</span>
      </header>
      <ol class="entries">
        {of.incidents
          .slice(-INCIDENTS)
          .reverse()
          .map((incident, place) => (
            <li key={place} class="incident">
              <Told incident={incident} of={of} />
              <Warnings incident={incident} of={of} route={route} />
            </li>
          ))}
      </ol>
    </section>
  );
}

/** What it was; each moment of a restart is an end, and after the last one nobody may have started it. */
function happened(kind: Incident["kind"], count: number, say: Say): string {
  if (count === 1) return say(`backtest.${kind}`);
  if (kind === "restart") return say("backtest.restarts", { n: count });
  return `${say(`backtest.${kind}`)} ${say("backtest.times", { n: count })}`;
}

function Told({ incident, of }: { incident: Incident; of: Document }) {
  const say = useSay();
  const at = begun(incident);
  const span = { from: Date.parse(of.from), to: Date.parse(of.to) };
  return (
    <div class="stack is-tight">
      <p>
        <span class={`event-${incident.kind}`}>
          <Sign kind={incident.kind} />
        </span>{" "}
        <strong class="said">{plain(incident.owner)}</strong>{" "}
        {happened(incident.kind, incident.moments.length, say)}
      </p>
      <p class="facts">
        <a href={moment(Math.min(at, span.to), span)} title={utc(at)}>
          {clock(at, Date.now())}
        </a>
      </p>
      {incident.note !== "" && (
        <p class="soft said">
          <Own text={incident.note} />
        </p>
      )}
    </div>
  );
}

/** Leads as bars on one scale, the longest first. */
function Warnings({ incident, of, route }: { incident: Incident; of: Document; route: Route }) {
  const say = useSay();
  const all = best(incident);
  if (all.length === 0) return <p class="is-near">{say("backtest.noneWarned")}</p>;
  const most = Math.max(1, ...all.map(({ lead_seconds: lead }) => lead ?? 0));
  const isTyped = of.rules[0]?.file === TYPED;
  return (
    <ul class="leads">
      {all.map((one) => {
        const lead = one.lead_seconds;
        const words = lead === null ? say("backtest.late", { span: spelled(one.late_seconds) }) : say("backtest.lead", { span: spelled(lead) });
        return (
          <li key={one.alert}>
            <a href={link("alerts", "backtest", { ...route.with, rule: one.alert })}>{isTyped ? say("backtest.yours") : plain(one.alert)}</a>
            <span class="level" aria-hidden="true">
              <span class={lead === null ? "is-late" : "is-lead"} style={{ width: `${((lead ?? 0) / most) * 100}%` }} />
            </span>
            <span class={lead === null ? "is-late" : ""} data-lead={lead ?? ""}>
              {words}
            </span>
          </li>
        );
      })}
    </ul>
  );
}

/** Incidents as marks on the axis. */
function marks(of: Document, say: Say): Mark[] {
  return of.incidents.flatMap((incident) =>
    incident.moments.map(({ at }) => ({ at, kind: incident.kind, id: null, text: `${incident.owner} ${say(`backtest.${incident.kind}`)}` })),
  );
}

const isWithin = ({ at }: Mark, span: { from: number; to: number }): boolean => Date.parse(at) >= span.from && Date.parse(at) <= span.to;

/** All rules that would have fired, on one axis with what happened. */
function Overview({ of, route, chosen, span }: Drawn & { span: { from: number; to: number } }) {
  const say = useSay();
  const all = rows(of);
  const inside = marks(of, say).filter((mark) => isWithin(mark, span));
  return (
    <section class="panel">
      <header>
        <h2>{say("backtest.fired")}</h2>
        <span class="soft">{say("backtest.ofRules", { n: all.length, all: of.rules.length })}</span>
      </header>
      {all.length === 0 ? (
        <p class="soft">{say("backtest.noneFired")}</p>
      ) : (
        <>
          <Meaning />
          <Spans
            tracks={all.map((row) => ({ ...row, key: `${row.rule.file} ${row.rule.group} ${row.name}`, isChosen: row.rule === chosen, head: <Head of={of} rule={row.rule} route={route} /> }))}
            span={span}
            marks={inside}
            pick={(at) => go(moment(at, span))}
          />
        </>
      )}
    </section>
  );
}

function Head({ of, rule, route }: { of: Document; rule: Tried; route: Route }) {
  const say = useSay();
  const count = rule.alerts.filter((life) => life.fired_at !== null).length;
  const lead = warnings(of, rule)[0]?.warned.lead_seconds ?? null;
  return (
    <>
      <a href={link("alerts", "backtest", { ...route.with, rule: rule.alert })}>{name(rule, say)}</a>{" "}
      <span class="soft">
        {fired(count, say)}
        {lead !== null && ` · ${say("backtest.lead", { span: spelled(lead) })}`}
      </span>
    </>
  );
}

function fired(count: number, say: Say): string {
  if (count === 0) return say("backtest.silent");
  return count === 1 ? say("backtest.firedOnce") : say("backtest.firedTimes", { n: count });
}

const name = (rule: Tried, say: Say): string => (rule.file === TYPED ? say("backtest.yours") : plain(rule.alert));

/** A rule in full: what it looks at, its bound, and what it would have done. */
function Picture({ of, route, rule, span }: { of: Document; route: Route; rule: Tried; span: { from: number; to: number } }) {
  const say = useSay();
  const tell = useTell();
  const condition = shown(rule);
  const count = rule.alerts.filter((life) => life.fired_at !== null).length;
  return (
    <section class="panel picture" aria-label={name(rule, say)}>
      <header>
        <h2 class="who" id="picture">
          {name(rule, say)}
        </h2>
        <span class="soft mono">{rule.file === TYPED ? "" : `${plain(rule.file)}:${rule.line}`}</span>
      </header>
      <p class="facts">
        <span class={`tag ${rule.fired ? "is-critical" : ""}`}>{fired(count, say)}</span>
        <a class="mono said" href={link("explore", null, { q: rule.expr, from: String(span.from), to: String(span.to) })}>
          {plain(rule.expr)}
        </a>
        {rule.for_seconds > 0 && <span class="soft">{say("backtest.held", { span: spelled(rule.for_seconds) })}</span>}
        <span class="soft">{say("backtest.step", { span: spelled(rule.step_seconds) })}</span>
      </p>
      {condition ? <Course of={of} route={route} rule={rule} condition={condition} whole={span} /> : <p class="soft">{say("backtest.noCondition")}</p>}
      {rule.conditions.length > 1 && condition && <p class="soft">{say("backtest.oneOf", { n: rule.conditions.length })}</p>}
      {rule.why_not.length > 0 && (
        <div class="stack is-tight">
          <h3>{say("backtest.whyNot")}</h3>
          <Claims all={rule.why_not.map(claim)} told={rule.why_not.map(({ kind }) => tell && reasonTold(tell, kind))} at={span.to} />
        </div>
      )}
      <Lives rule={rule} span={span} />
    </section>
  );
}

/** How far a picture may be zoomed in. */
const LEAST_MS = 60_000;

interface Shaded {
  of: Document;
  route: Route;
  rule: Tried;
  condition: Condition;
  whole: { from: number; to: number };
}

interface Courses {
  left: Curve[];
  right: Curve[];
  /** The memory of whom it speaks, where what it looks at was only made for the backtest. */
  about: Curve[];
}

async function course(rule: Tried, condition: Condition, span: { from: number; to: number }, step: number, signal: AbortSignal): Promise<Courses> {
  const left = range(condition.left, span, step, signal);
  // A bound that changes is a curve as well.
  const right = bound(condition) === null ? range(condition.right, span, step, signal) : null;
  const found = { left: (await left).all, right: right ? (await right).all : [], about: [] };
  const subject = found.left.length === 0 ? memoryOf(rule) : null;
  return subject === null ? found : { ...found, about: (await range(subject, span, step, signal)).all };
}

function Course({ of, route, rule, condition, whole }: Shaded) {
  const say = useSay();
  const zoomed = { from: Number(route.with["from"]), to: Number(route.with["to"]) };
  const isZoomed = zoomed.from >= whole.from && zoomed.to > zoomed.from;
  const span = isZoomed ? zoomed : whole;
  const step = stepMs(span, 900);
  const key = `${condition.left} ${condition.right} ${span.from} ${span.to}`;
  const curves = useLive(key, null, (signal) => course(rule, condition, span, step, signal));
  const limit = bound(condition);
  const told = thinned(marks(of, say).filter((mark) => isWithin(mark, span)), span, 200).map(({ mark }): Moment => ({ at: Date.parse(mark.at), colour: COLOURS[mark.kind] }));
  const shaded = drawn(stretches(rule, whole.to), span, 900).map(band);
  return (
    <Shown live={curves}>
      {({ left, right, about }) => {
        if (about.length > 0) return <About all={about} span={span} step={step} marks={told} bands={shaded} />;
        if (left.length === 0) return <Notice head={say("backtest.noSeries")} what={plain(condition.left)} />;
        const kept = nearest(left, condition, rule);
        const names = apart(kept.map(({ labels }) => labels));
        const all = [...kept, ...right.slice(0, 1)];
        let place = 0;
        const course = plot(all, step, () => {
          const at = place++;
          const isBound = at >= kept.length;
          return isBound ? { label: say("backtest.bound"), colour: "critical" } : { label: short(names[at] || condition.left), colour: `curve-${(at % 8) + 1}` };
        });
        return (
          <>
            <Chart
              title={`${plain(condition.left)} ${condition.op} ${limit === null ? plain(condition.right) : format(condition.left)(limit)}`}
              plot={course}
              span={span}
              height={260}
              format={format(condition.left)}
              limit={limit}
              marks={told}
              bands={shaded}
              onZoom={(from, to) => set(route, named({ from, to: Math.max(to, from + LEAST_MS), isLive: false }), true)}
              onPick={(at) => go(moment(at, span))}
            />
            <p class="facts">
              {isZoomed && (
                <a href={link("alerts", "backtest", { ...route.with, from: "", to: "" })}>{say("backtest.whole")}</a>
              )}
              {left.length > kept.length && <span class="soft">{say("explore.shown", { n: kept.length, all: left.length })}</span>}
              <span class="soft">{say("backtest.pick")}</span>
            </p>
          </>
        );
      }}
    </Shown>
  );
}

interface Subject {
  all: Curve[];
  span: { from: number; to: number };
  step: number;
  marks: Moment[];
  bands: Band[];
}

/** The memory of those that a rule speaks of, and their limits. */
function About({ all, span, step, marks, bands }: Subject) {
  const say = useSay();
  const isLimit = ({ labels }: Curve): boolean => labels["__name__"] === LIMIT;
  const kept = all.filter((curve) => !isLimit(curve));
  const limits = all.filter(isLimit).flatMap(({ points }) => points.map(([, value]) => value).filter(Number.isFinite));
  const names = apart(kept.map(({ labels }) => labels));
  let place = 0;
  const course = plot(kept, step, () => ({ label: short(names[place] ?? ""), colour: `curve-${(place++ % 8) + 1}` }));
  return (
    <>
      <p class="soft said">{say("backtest.about")}</p>
      <Chart title={say("backtest.aboutTitle")} plot={course} span={span} height={260} format={bytes} limit={limits.at(-1) ?? null} marks={marks} bands={bands} onPick={(at) => go(moment(at, span))} />
    </>
  );
}

const COLOURS: Record<Mark["kind"], string> = { death: "critical", growth: "warning", restart: "accent", boot: "line-strong", recorder: "line-strong" };

const band = ({ from, to, state }: Stretch): Band => ({ from, to, colour: state === "firing" ? "critical" : "warning" });

/** Each alert that it would have sent. */
function Lives({ rule, span }: { rule: Tried; span: { from: number; to: number } }) {
  const say = useSay();
  const fired = rule.alerts.filter((life) => life.fired_at !== null);
  if (fired.length === 0) return null;
  const others = Object.keys(fired[0]?.labels ?? {}).filter((name) => new Set(fired.map(({ labels }) => labels[name])).size > 1);
  const who = (labels: Record<string, string>): string => others.map((name) => short(labels[name] ?? "")).join(" · ");
  return (
    <details class="evidence">
      <summary>
        {say("backtest.alerts")} · {fired.length}
      </summary>
      <ul class="claims">
        {fired.slice(0, LISTED).map((life, place) => {
          const at = Date.parse(life.fired_at ?? "");
          const long = Date.parse(life.ended_at ?? "") - at;
          return (
            <li key={place}>
              <a href={moment(at, span)} title={utc(at)}>
                {clock(at, Date.now())}
              </a>{" "}
              {Number.isFinite(long) ? say("alerts.firedFor", { span: spelled(long / 1000) }) : say("backtest.still")} <span class="mono">{who(life.labels)}</span>
            </li>
          );
        })}
      </ul>
    </details>
  );
}

/** Rules that would not have fired, and why not. */
function Silent({ of, route }: { of: Document; route: Route }) {
  const say = useSay();
  const silent = of.rules.filter((rule) => !rule.fired && !isBlind(rule) && rule.file !== TYPED);
  const blind = of.rules.filter((rule) => isBlind(rule) && rule.file !== TYPED);
  return (
    <div class="stack">
      {silent.length > 0 && <Reasons word={say("backtest.never")} all={silent} route={route} />}
      {blind.length > 0 && <Reasons word={say("backtest.blind")} all={blind} route={route} isShut />}
    </div>
  );
}

function Reasons({ word, all, route, isShut = false }: { word: string; all: Tried[]; route: Route; isShut?: boolean }) {
  return (
    <details class="panel group" open={!isShut}>
      <summary>
        <h2>{word}</h2> <span class="soft">{all.length}</span>
      </summary>
      <ul class="claims reasons">
        {all.map((rule) => (
          <li key={`${rule.file} ${rule.line} ${rule.alert}`}>
            <a href={link("alerts", "backtest", { ...route.with, rule: rule.alert })}>{plain(rule.alert)}</a>{" "}
            {rule.why_not.slice(0, 1).map((why) => (
              <Reason key={why.kind} why={why} />
            ))}
          </li>
        ))}
      </ul>
    </details>
  );
}

/** In the reader's language, if the recorder does not speak it; what it says itself has the figures. */
function Reason({ why }: { why: Tried["why_not"][number] }) {
  const tell = useTell();
  return (
    <span class="soft said">
      {tell && reasonTold(tell, why.kind)} <Own text={why.text} />
    </span>
  );
}
