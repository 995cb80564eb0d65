// Now: the verdict first, then where the memory is.

import { newest, query, range } from "../api";
import { stepMs, piled } from "../curves";
import type { Finding as Found, Now as Document, Severity } from "../documents";
import { split } from "../evidence";
import { findingTold } from "../finding";
import { bytes, clock, utc } from "../format";
import { useLive, useNow, type Live } from "../live";
import { makeupOf, MEMORY, type Makeup } from "../memory";
import { ownerNamed, ownerOf } from "../owner";
import { owners, OWNERS as OWNED, USAGES } from "../owners";
import { Chart } from "../parts/chart";
import { Proof } from "../parts/claim";
import { Figures } from "../parts/figures";
import { Holders, type Held } from "../parts/holders";
import { Notice, Shown } from "../parts/notice";
import { Processes } from "../parts/processes";
import { Original, Own } from "../parts/said";
import { Whole } from "../parts/whole";
import { link, named } from "../route";
import { useSay, useTell, type Say } from "../words";

const HOUR_MS = 3_600_000;

/** The hour behind the bar changes by a pixel in this time. */
const CHART_EVERY_MS = 15_000;

const OWNERS = 12;
const PROCESSES = 8;

export function Now({ now }: { now: Live<Document> }) {
  const say = useSay();
  const early = useLive("early", null, first);
  if (now.fault?.trouble === "absent" && now.value === null) {
    return <Ended />;
  }
  if (now.value === null && now.fault === null) return <Early of={early.value} />;
  return (
    <Shown live={now}>
      {(document) => (
        <>
          <div class="now-top">
            <Verdict of={document} />
            <Figures of={document} />
          </div>
          <Memory of={document} early={early.value?.memory ?? null} />
          <div class="panels is-uneven">
            <section class="panel">
              <header>
                <h2>{say("owners.title")}</h2>
              </header>
              <Holders all={held(document)} />
            </section>
            <section class="panel">
              <header>
                <h2>{say("processes.title")}</h2>
                <span class="soft">{document.process_count}</span>
              </header>
              <Processes all={ran(document)} />
            </section>
          </div>
        </>
      )}
    </Shown>
  );
}

/** Nobody records: what there is ends somewhere. */
function Ended() {
  const say = useSay();
  const end = useLive("end", null, newest).value;
  const last = end === null ? { last: "86400" } : named({ from: end - HOUR_MS, to: end, isLive: false });
  return (
    <>
      <Notice head={say("history.title")} what={end === null ? say("history.endless") : say("history.ends", { at: clock(end, Date.now()), utc: utc(end) })} />
      <p>
        <a href={link("time", null, last)}>{say(end === null ? "memory.open" : "history.open")}</a>
      </p>
    </>
  );
}

interface First {
  memory: Makeup | null;
  owners: Held[];
}

/** What the recording knows at once, while the machine is still judged. */
async function first(signal: AbortSignal): Promise<First> {
  const asked = [MEMORY, OWNED, USAGES].map((expr) => query(expr, null, signal));
  const [memory, sums, usages] = (await Promise.all(asked)).map((answer) => answer.all);
  const all = owners(sums ?? [], usages ?? []).slice(0, OWNERS);
  return { memory: makeupOf(memory ?? []), owners: all.map((owner) => ({ ...owner, name: owner.id, owner: ownerOf(owner), growing: null })) };
}

function Early({ of }: { of: First | null }) {
  const say = useSay();
  return (
    <>
      <section class="verdict is-unknown">
        <p class="soft" aria-busy="true">
          {say("load.busy")}
        </p>
      </section>
      {of?.memory && (
        <section class="panel">
          <header>
            <h2>{say("memory.title")}</h2>
          </header>
          <Whole of={of.memory} low={null} min={null} />
        </section>
      )}
      {of && of.owners.length > 0 && (
        <section class="panel">
          <header>
            <h2>{say("owners.title")}</h2>
          </header>
          <Holders all={of.owners} />
        </section>
      )}
    </>
  );
}

/** How many need somebody, in words; what is unknown needs nobody yet. */
function headline(of: Document, say: Say): string {
  const count = of.urgent.filter(({ severity }) => severity === "warning" || severity === "critical").length;
  if (count === 1) return say("verdict.one");
  if (count > 1) return say("verdict.many", { n: count });
  return say(of.severity === "unknown" ? "verdict.unknown" : "verdict.calm");
}

function Verdict({ of }: { of: Document }) {
  const say = useSay();
  const { available_bytes: free, total_bytes: all } = of.memory;
  return (
    <section class={`verdict is-${of.severity}`}>
      <h1>{headline(of, say)}</h1>
      {of.severity === "ok" && <p class="soft">{say("verdict.calmDo", { free: bytes(free), total: bytes(all) })}</p>}
      <ol class="findings">
        {of.urgent.map((finding, place) => (
          <Finding key={place} finding={finding} of={of} />
        ))}
      </ol>
    </section>
  );
}

function Finding({ finding, of }: { finding: Found; of: Document }) {
  const say = useSay();
  const tell = useTell();
  const told = tell && findingTold(tell, say, finding, of);
  const { text, view } = split(finding.text);
  return (
    <li>
      <span class={`tag is-${finding.severity satisfies Severity}`}>{say(`severity.${finding.severity}`)}</span>
      <div>
        <p class="said">
          {told ?? <Own text={text} />} {view && <a href={link(view)}>{say(`look.${view}`)}</a>}
        </p>
        {told && <Original text={text} />}
        <Proof evidence={finding.evidence} at={Date.parse(of.time)} />
      </div>
    </li>
  );
}

function Memory({ of, early }: { of: Document; early: Makeup | null }) {
  const say = useSay();
  const parts = useLive(`makeup ${of.time}`, null, async (signal) => makeupOf((await query(MEMORY, Date.parse(of.time), signal)).all));
  const { available_bytes: free, total_bytes: all } = of.memory;
  return (
    <section class="panel">
      <header>
        <h2>{say("memory.title")}</h2>
        <span>{say("memory.of", { available: bytes(free), total: bytes(all) })}</span>
      </header>
      <Shown live={parts.value === null && early ? { ...parts, value: early } : parts}>
        {(parts) =>
          parts ? (
            <Whole of={parts} low={of.memory.low_watermark_bytes} min={of.memory.min_watermark_bytes}>
              <Hour />
            </Whole>
          ) : (
            <Notice head={say("empty.samples")} what={say("empty.samplesDo")} />
          )
        }
      </Shown>
    </section>
  );
}

/** How it came to be so. */
function Hour() {
  const say = useSay();
  const now = useNow(CHART_EVERY_MS);
  const span = { from: now - HOUR_MS, to: now };
  const step = stepMs(span, 600);
  const curves = useLive(`hour ${now}`, null, async (signal) => (await range(MEMORY, span, step, signal)).all);
  return (
    <div>
      <Shown live={curves}>
        {(curves) => {
          const plot = piled(curves, step, (kind) => say(`memory.${kind}`));
          return <Chart title={say("memory.hour")} plot={plot} span={span} height={150} isPiled isBare format={bytes} />;
        }}
      </Shown>
      <a href={link("time")}>{say("memory.open")}</a>
    </div>
  );
}

function held(of: Document): Held[] {
  return of.owners.slice(0, OWNERS).map((holder) => {
    const mine = (of.growth?.items ?? []).filter(({ owner, unit }) => unit === "bytes" && (owner.name === holder.owner || owner.id === holder.cgroup));
    return {
      name: holder.owner,
      owner: ownerNamed(holder.owner, holder.cgroup),
      anon: holder.anon_bytes,
      usage: holder.usage_bytes,
      limit: holder.limit_bytes,
      growing: mine[0] ?? null,
    };
  });
}

const ran = (of: Document) =>
  of.processes.slice(0, PROCESSES).map((process) => ({
    pid: String(process.pid),
    comm: process.comm,
    owner: process.owner ?? "",
    whose: process.owner === null ? null : ownerNamed(process.owner),
    anon: process.anon_bytes,
  }));

