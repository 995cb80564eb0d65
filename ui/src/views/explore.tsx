// Explore: any question in PromQL, as a graph and as a table.

import { useEffect, useState } from "preact/hooks";

import { query, range, type Curve, type Sample } from "../api";
import { plot, stepMs } from "../curves";
import { bytes, plain } from "../format";
import { useLive, useNow } from "../live";
import { Ask } from "../parts/ask";
import { Chart } from "../parts/chart";
import { Controls } from "../parts/controls";
import { Notice, Shown } from "../parts/notice";
import { named, set, spanOf, type Route, type Span } from "../route";
import { useSay } from "../words";

const EVERY_MS = 15_000;

/** So many curves are drawn, and rows listed. */
const DRAWN = 24;
const LISTED = 500;

const EXAMPLES = [
  "topk(5, container_memory_rss)",
  "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes * 100",
  "deriv(container_memory_rss[10m]) * 3600",
];

export function Explore({ route }: { route: Route }) {
  const say = useSay();
  const asked = route.with["q"] ?? "";
  const isTable = route.with["as"] === "table";
  const isLive = !route.with["from"];
  const now = useNow(isLive ? EVERY_MS : null);
  const span = spanOf(route, now);
  const go = (next: Span): void => set(route, named(next), true);
  const [text, setText] = useState(asked);
  useEffect(() => setText(asked), [asked]);
  return (
    <>
      <div class="title">
        <h1>{say("explore.title")}</h1>
        <Controls route={route} span={span} go={go} />
      </div>
      <div class="ask">
        <Ask text={text} write={setText} send={(q) => set(route, { q }, true)} />
        <div class="controls">
          <button class="is-main" type="button" onClick={() => set(route, { q: text }, true)}>
            {say("explore.run")}
          </button>
          <button type="button" aria-pressed={!isTable} onClick={() => set(route, { as: "" })}>
            {say("explore.graph")}
          </button>
          <button type="button" aria-pressed={isTable} onClick={() => set(route, { as: "table" })}>
            {say("explore.table")}
          </button>
        </div>
      </div>
      {asked === "" && <Examples ask={(q) => set(route, { q }, true)} />}
      {asked !== "" && (isTable ? <Table expr={asked} at={span.to} /> : <Graph route={route} expr={asked} span={span} go={go} />)}
    </>
  );
}

function Examples({ ask }: { ask: (expr: string) => void }) {
  const say = useSay();
  return (
    <div class="stack">
      <p class="soft">{say("explore.hint")}</p>
      <ul>
        {EXAMPLES.map((expr) => (
          <li key={expr}>
            <button class="plainly mono" type="button" onClick={() => ask(expr)}>
              {expr}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** How a series is called: `name{label="value"}`. */
export function title(labels: Record<string, string>): string {
  const { __name__: name = "", ...rest } = labels;
  const all = Object.entries(rest).map(([label, value]) => `${label}="${value}"`);
  return plain(all.length > 0 || name === "" ? `${name}{${all.join(", ")}}` : name);
}

/** Bytes where the question names them and makes nothing else of them. */
export function format(expr: string): (value: number) => string {
  const isBytes = /_bytes\b|container_memory_(rss|cache|swap|mapped_file)/.test(expr) && !/[/]|deriv|rate|count|ratio|_total/.test(expr);
  return isBytes ? bytes : (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(6))) : String(value));
}

interface Drawn {
  route: Route;
  expr: string;
  span: Span;
  go: (span: Span) => void;
}

function Graph({ route, expr, span, go }: Drawn) {
  const say = useSay();
  const step = stepMs(span, 1400);
  const answer = useLive(`${expr} ${span.from} ${span.to}`, null, (signal) => range(expr, span, step, signal));
  const marked = { from: Number(route.with["mf"]), to: Number(route.with["mt"]) };
  return (
    <div class="stack" aria-busy={answer.isOld || undefined}>
      <Shown live={answer}>
        {({ all, warnings }) => {
          if (all.length === 0) return <Notice head={say("explore.none")} what={say("explore.noneDo")} />;
          let place = 0;
          const drawn = plot(all.slice(0, DRAWN), step, ({ labels }: Curve) => ({ label: title(labels), colour: `curve-${(place++ % 8) + 1}` }));
          return (
            <>
              <Chart
                title={plain(expr)}
                plot={drawn}
                span={span}
                height={380}
                format={format(expr)}
                shaded={marked.from > 0 && marked.to > 0 ? marked : null}
                onZoom={(from, to) => go({ from, to, isLive: false })}
              />
              {all.length > DRAWN && <p class="soft">{say("explore.shown", { n: DRAWN, all: all.length })}</p>}
              <Warnings all={warnings} />
            </>
          );
        }}
      </Shown>
    </div>
  );
}

function Warnings({ all }: { all: string[] }) {
  return (
    <>
      {all.map((warning) => (
        <p key={warning} class="notice is-stale">
          {plain(warning)}
        </p>
      ))}
    </>
  );
}

function Table({ expr, at }: { expr: string; at: number }) {
  const say = useSay();
  const answer = useLive(`${expr} ${at}`, null, (signal) => query(expr, at, signal));
  return (
    <div class="stack" aria-busy={answer.isOld || undefined}>
      <Shown live={answer}>
        {({ all, warnings }) => {
          if (all.length === 0) return <Notice head={say("explore.none")} what={say("explore.noneDo")} />;
          return (
            <>
              <p class="soft">{say("explore.series", { n: all.length })}</p>
              <Rows all={all} said={format(expr)} />
              <Warnings all={warnings} />
            </>
          );
        }}
      </Shown>
    </div>
  );
}

function Rows({ all, said }: { all: Sample[]; said: (value: number) => string }) {
  const say = useSay();
  const sorted = [...all].sort((a, b) => b.value - a.value).slice(0, LISTED);
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={say("explore.table")}>
      <table>
        <thead>
          <tr>
            <th class="number">{say("explore.value")}</th>
            <th>{say("explore.series", { n: all.length })}</th>
          </tr>
        </thead>
        <tbody>
          {sorted.map(({ labels, value }) => (
            <tr key={title(labels)}>
              <td class="number" data-value={value} title={String(value)}>
                {said(value)}
              </td>
              <td class="mono said">{title(labels)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
