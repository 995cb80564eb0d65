// Alerts: what fires now and since when, what fired before, and the rules that say so.

import type { ComponentChildren } from "preact";

import { ended, goneOn, recorded, rows, rules, standing, stepOf, told, whom, last, type Group, type Row, type Rule, type Ruled, type Standing, type Stretch } from "../alerting";
import { document as ask, query, range } from "../api";
import { stepMs } from "../curves";
import type { Mark } from "../documents";
import { bytes, clock, plain, short, span as spelled, utc } from "../format";
import { useLive, useNow } from "../live";
import { called, ownerLink, ownerOf, ownerOfProcess } from "../owner";
import { Controls } from "../parts/controls";
import { Notice, Shown } from "../parts/notice";
import { Meaning, moment, Spans } from "../parts/spans";
import { go, link, named, set, spanOf, type Route, type Span } from "../route";
import { useSay, type Say } from "../words";
import { Backtest } from "./backtest";
import { format } from "./explore";

/** As often as rules are evaluated. */
const EVERY_MS = 15_000;

/** Without a span in the address a day is shown. */
const DAY_S = "86400";

/** So many alerts are shown at once, and with those behind a click; so many rows are drawn, and so many ended alerts listed. */
const SHOWN = 12;
const MOST = 200;
const DRAWN = 40;
const LISTED = 10;

export function Alerts({ route, isHistory }: { route: Route; isHistory: boolean }) {
  return route.id === "backtest" ? <Backtest route={route} /> : <Running route={route} isHistory={isHistory} />;
}

/** The two pages of this view. */
export function Tabs({ at }: { at: "state" | "backtest" }) {
  const say = useSay();
  const tab = (name: "state" | "backtest", id: string | null) => (
    <a href={link("alerts", id)} {...(at === name ? { "aria-current": "page" as const } : {})}>
      {say(`alerts.${name}`)}
    </a>
  );
  return (
    <nav class="tabs" aria-label={say("alerts.title")}>
      {tab("state", null)}
      {tab("backtest", "backtest")}
    </nav>
  );
}

function Running({ route, isHistory }: { route: Route; isHistory: boolean }) {
  const say = useSay();
  const ruled = useLive("rules", EVERY_MS, rules, "alerts");
  return (
    <>
      <div class="title">
        <h1>{say("alerts.title")}</h1>
        <Tabs at="state" />
      </div>
      <Shown live={ruled}>
        {(ruled) => {
          const now = standing(ruled.groups);
          return (
            <>
              {ruled.groups.length === 0 ? <NoRules isHistory={isHistory} /> : <State all={now} />}
              <Faults all={ruled.faults} />
              <History route={route} groups={ruled.groups} now={now} />
              {ruled.groups.length > 0 && (
                <div class="panels is-uneven">
                  <Rules ruled={ruled} />
                  <Receivers />
                </div>
              )}
            </>
          );
        }}
      </Shown>
    </>
  );
}

function NoRules({ isHistory }: { isHistory: boolean }) {
  const say = useSay();
  return (
    <>
      <Notice head={say(isHistory ? "alerts.history" : "alerts.noRules")} what={say(isHistory ? "alerts.historyDo" : "alerts.noRulesDo")} />
      <p>
        <a href={link("alerts", "backtest")}>{say("alerts.try")}</a>
      </p>
    </>
  );
}

function Faults({ all }: { all: string[] }) {
  const say = useSay();
  if (all.length === 0) return null;
  return (
    <div class="notice is-fault" role="alert">
      <strong>{say("alerts.faults")}</strong>
      <span class="soft">{say("alerts.faultsDo")}</span>
      <ul>
        {all.map((fault) => (
          <li key={fault} class="mono">
            {plain(fault)}
          </li>
        ))}
      </ul>
    </div>
  );
}

function headline(firing: number, pending: number, say: Say): string {
  if (firing === 0 && pending === 0) return say("alerts.calm");
  if (firing === 0) return pending === 1 ? say("alerts.onePending") : say("alerts.manyPending", { n: pending });
  const fires = firing === 1 ? say("alerts.oneFires") : say("alerts.manyFire", { n: firing });
  return pending === 0 ? fires : say("alerts.andPending", { fires, n: pending });
}

function State({ all }: { all: Standing[] }) {
  const say = useSay();
  const firing = all.filter(({ state }) => state === "firing");
  const worst = firing[0]?.urgency ?? "calm";
  return (
    <section class={`verdict is-${worst}`}>
      <h2 class="who headline">{headline(firing.length, all.length - firing.length, say)}</h2>
      <List all={all.slice(0, SHOWN)} />
      {all.length > SHOWN && (
        <details class="group">
          <summary>{say("alerts.others", { n: all.length - SHOWN })}</summary>
          <List all={all.slice(SHOWN, MOST)} />
          {all.length > MOST && <p class="soft">{say("alerts.more", { n: all.length - MOST })}</p>}
        </details>
      )}
    </section>
  );
}

function List({ all }: { all: Standing[] }) {
  return (
    <ol class="alerts">
      {all.map((alert) => (
        <li key={JSON.stringify(alert.labels)}>
          <One alert={alert} />
        </li>
      ))}
    </ol>
  );
}

function One({ alert }: { alert: Standing }) {
  const say = useSay();
  const { summary, description, action } = alert.annotations;
  const name = alert.labels["alertname"] ?? alert.rule.name;
  const now = Date.now();
  const owner = ownerOf(alert.labels) ?? ownerOfProcess(alert.labels);
  const tag = alert.state === "firing" ? alert.urgency : "pending";
  return (
    <article class="alert" data-alert={name} data-state={alert.state}>
      <div class="alert-tags">
        <span class={`tag is-${tag}`}>{alert.state === "pending" ? say("alerts.pending") : say(SEVERITY[alert.urgency])}</span>
      </div>
      <div class="stack is-tight">
        <p class="alert-said said">{plain(summary ?? name)}</p>
        {description && <p class="said soft">{plain(description)}</p>}
        <p class="facts">
          <strong>{plain(name)}</strong>
          {owner && (
            <a class="mono whose" title={plain(called(owner))} href={ownerLink(owner)}>
              {short(called(owner))}
            </a>
          )}
          <a href={moment(alert.since, { from: now - 3_600_000, to: now })} title={utc(alert.since)}>
            {say(alert.state === "firing" ? "alerts.firingSince" : "alerts.pendingSince", { at: clock(alert.since, now), span: spelled((now - alert.since) / 1000) })}
          </a>
          <span class="soft" data-value={alert.number}>
            {say("alerts.value", { value: value(alert.rule.query, alert.number) })}
          </span>
          <Expr of={alert.rule.query} word={say("alerts.expr")} />
        </p>
        <Whom labels={alert.labels} />
        {action && <p class="mono soft said">{plain(action)}</p>}
      </div>
    </article>
  );
}

const SEVERITY = { critical: "severity.critical", warning: "severity.warning", info: "severity.ok" } as const;

/** Four digits are enough to know how bad it is. */
function value(expr: string, number: number): string {
  const text = format(expr)(number);
  return text === bytes(number) || !Number.isFinite(number) ? text : number.toLocaleString("en", { maximumSignificantDigits: 4 });
}

function Expr({ of, word }: { of: string; word: string }) {
  return (
    <a href={link("explore", null, { q: of })} title={plain(of)}>
      {word}
    </a>
  );
}

function Whom({ labels }: { labels: Record<string, string> }) {
  const all = whom(labels);
  if (all.length === 0) return null;
  return (
    <p class="chips">
      {all.map(([name, value]) => (
        <span key={name} title={plain(value)}>
          <span class="soft">{plain(name)}</span> {short(value)}
        </span>
      ))}
    </p>
  );
}

/** When alerts were pending and firing. */
function History({ route, groups, now }: { route: Route; groups: Group[]; now: Standing[] }) {
  const say = useSay();
  const given: Route = route.with["from"] ? route : { ...route, with: { last: DAY_S, ...route.with } };
  const moving = useNow(given.with["from"] ? null : EVERY_MS * 2);
  const span = spanOf(given, moving);
  const step = stepOf(groups, stepMs(span, 1200));
  const key = `${span.from} ${span.to}`;
  const history = useLive(key, null, async (signal) => {
    const [curves, end, events] = await Promise.all([
      range(recorded(step), span, step, signal),
      // The step that has not ended yet is in no range.
      query(recorded(step), span.to, signal),
      ask<{ events: Mark[] }>("events", signal),
    ]);
    return { rows: rows(goneOn(curves.all, end.all, span.to), step), marks: events.events.filter((mark) => within(mark, span)) };
  });
  return (
    <section class="panel">
      <header>
        <h2>{say("alerts.before")}</h2>
        <Controls route={given} span={span} go={(next: Span) => set(route, named(next), true)} />
      </header>
      <Shown live={history}>
        {({ rows, marks }) => (
          <>
            {rows.length === 0 ? (
              <p class="soft">{say("alerts.noneBefore")}</p>
            ) : (
              <>
                <Meaning />
                <Spans
                  tracks={rows.slice(0, DRAWN).map((row) => ({ ...row, key: JSON.stringify(row.labels), head: <Head row={row} span={span} /> }))}
                  span={span}
                  marks={marks}
                  pick={(at) => go(moment(at, span))}
                />
                {rows.length > DRAWN && <p class="soft">{say("alerts.more", { n: rows.length - DRAWN })}</p>}
              </>
            )}
            <Ended all={ended(rows, now).slice(0, LISTED)} span={span} />
          </>
        )}
      </Shown>
    </section>
  );
}

const within = (mark: Mark, span: Span): boolean => Date.parse(mark.at) >= span.from && Date.parse(mark.at) <= span.to;

function Head({ row, span }: { row: Row; span: Span }) {
  const begun = row.stretches.find(({ to }) => to === Math.abs(last(row))) ?? row.stretches[0];
  const who = whom(row.labels).map(([, value]) => short(value));
  return (
    <>
      <a href={moment(begun?.from ?? span.to, span)}>{plain(row.name)}</a> <span class="soft mono">{who.join(" · ")}</span>
    </>
  );
}

function Ended({ all, span }: { all: { row: Row; stretch: Stretch }[]; span: Span }) {
  const say = useSay();
  if (all.length === 0) return null;
  return (
    <div class="stack is-tight">
      <h3>{say("alerts.ended")}</h3>
      <ul class="claims">
        {all.map(({ row, stretch }) => (
          <li key={JSON.stringify(row.labels)}>
            <a href={moment(stretch.from, span)} class="mono" title={utc(stretch.from)}>
              {clock(stretch.from, Date.now())}
            </a>{" "}
            <strong>{plain(row.name)}</strong> <span class="soft">{say("alerts.firedFor", { span: spelled((stretch.to - stretch.from) / 1000) })}</span>{" "}
            <span class="soft mono">
              {whom(row.labels)
                .map(([, value]) => short(value))
                .join(" · ")}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Rules({ ruled }: { ruled: Ruled }) {
  const say = useSay();
  const all = ruled.groups.flatMap((group) => group.rules);
  const failing = all.filter((rule) => rule.health === "err").length;
  return (
    <section class="panel">
      <header>
        <h2>{say("alerts.rules")}</h2>
        <span class={failing > 0 ? "is-near" : "soft"}>
          {failing > 0 ? say("alerts.failing", { n: failing, all: all.length }) : say("alerts.healthy", { n: all.length, groups: ruled.groups.length })}
        </span>
      </header>
      {ruled.groups.map((group) => (
        <details key={`${group.file} ${group.name}`} class="group" open={group.rules.some((rule) => rule.health === "err" || rule.state === "firing")}>
          <summary>
            <strong>{plain(group.name)}</strong> <span class="soft">{plain(group.file)}</span>{" "}
            <span class="soft">{say("alerts.group", { n: group.rules.length, every: spelled(group.interval), took: took(group.evaluationTime) })}</span>
          </summary>
          <Table group={group} />
        </details>
      ))}
    </section>
  );
}

const took = (seconds: number): string => (seconds >= 1 ? `${seconds.toFixed(1)} s` : `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`);

function Table({ group }: { group: Group }) {
  const say = useSay();
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={plain(group.name)}>
      <table class="rules">
        <thead>
          <tr>
            <th>{say("alerts.stateHead")}</th>
            <th>{say("alerts.rule")}</th>
            <th class="number wide-only">{say("alerts.for")}</th>
            <th class="number wide-only">{say("alerts.evaluated")}</th>
          </tr>
        </thead>
        <tbody>
          {group.rules.map((rule, place) => (
            <tr key={place}>
              <td>
                <RuleState rule={rule} />
              </td>
              <td class="rule">
                <strong>{plain(rule.name)}</strong>{" "}
                {rule.type === "alerting" && (
                  <a class="soft" href={link("alerts", "backtest", { rule: rule.name })}>
                    {say("alerts.backtest")}
                  </a>
                )}
                <a class="expr mono" href={link("explore", null, { q: rule.query })}>
                  {plain(rule.query)}
                </a>
                {rule.lastError && <span class="is-near said">{plain(rule.lastError)}</span>}
              </td>
              <td class="number soft wide-only">{rule.duration ? spelled(rule.duration) : ""}</td>
              <td class="number soft wide-only">{told(rule.lastEvaluation, Date.now()) ?? say("alerts.never")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function RuleState({ rule }: { rule: Rule }): ComponentChildren {
  const say = useSay();
  if (rule.health === "err") return <span class="tag is-critical">{say("alerts.fails")}</span>;
  if (rule.type === "recording") return <span class="tag">{say("alerts.records")}</span>;
  const state = rule.state ?? "inactive";
  const shade = state === "firing" ? "is-critical" : state === "pending" ? "is-warning" : "";
  return <span class={`tag ${shade}`}>{say(`alerts.${state}`)}</span>;
}

const COUNTS = ["sent", "failed", "refused", "given_up"] as const;
const NOTIFIED = '{__name__=~"highwater_agent_notify_(sent_total|failed_total|refused_total|given_up_total|waiting)"}';

/** What those who are to be told were told. */
function Receivers() {
  const say = useSay();
  const counts = useLive("receivers", EVERY_MS * 4, async (signal) => {
    const all = new Map<string, Record<string, number>>();
    for (const { labels, value } of (await query(NOTIFIED, null, signal)).all) {
      const name = labels["receiver"] ?? "";
      const count = (labels["__name__"] ?? "").replace(/^highwater_agent_notify_|_total$/g, "");
      all.set(name, { ...all.get(name), [count]: value });
    }
    return [...all].sort(([a], [b]) => a.localeCompare(b));
  });
  return (
    <section class="panel">
      <header>
        <h2>{say("alerts.receivers")}</h2>
      </header>
      <Shown live={counts}>
        {(all) =>
          all.length === 0 ? (
            <p class="soft">{say("alerts.noReceivers")}</p>
          ) : (
            <div class="scroll" tabIndex={0} role="group" aria-label={say("alerts.receivers")}>
              <table>
                <thead>
                  <tr>
                    <th>{say("alerts.receiver")}</th>
                    {COUNTS.map((count) => (
                      <th key={count} class="number">
                        {say(`alerts.${count}`)}
                      </th>
                    ))}
                    <th class="number">{say("alerts.waiting")}</th>
                  </tr>
                </thead>
                <tbody>
                  {all.map(([name, of]) => (
                    <tr key={name}>
                      <td class="mono">{plain(name)}</td>
                      {[...COUNTS, "waiting"].map((count) => (
                        <td key={count} class={`number ${count !== "sent" && (of[count] ?? 0) > 0 ? "is-near" : ""}`}>
                          {of[count] ?? 0}
                        </td>
                      ))}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Shown>
    </section>
  );
}
