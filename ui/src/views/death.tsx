// One death: the sentence, what it stands on, and the memory before it.

import { document as ask, query, range } from "../api";
import { weighed } from "../claims";
import { plot, stepMs } from "../curves";
import type { Claim, Death as Document, Task } from "../documents";
import { bytes, clock, plain, short, utc } from "../format";
import { useLive } from "../live";
import { aroundDeath, called, ownerLink, ownerNamed, ownerOf } from "../owner";
import { quoted } from "../owners";
import { Chart } from "../parts/chart";
import { Claims } from "../parts/claim";
import { Bar, Legend } from "../parts/makeup";
import { Shown } from "../parts/notice";
import { Original, Own } from "../parts/said";
import { link } from "../route";
import { causeName, deathTold, whyTold } from "../told";
import { isWord, useSay, useTell, type Say, type Word } from "../words";

/** So much is drawn before a death, and after it. */
const BEFORE_MS = 15 * 60_000;
const AFTER_MS = 60_000;

/** So many rows of the kernel's table are shown, the first to die first. */
const TASKS = 12;

export function Death({ id }: { id: string }) {
  const say = useSay();
  const death = useLive(`death ${id}`, null, (signal) => ask<Document>(`deaths/${encodeURIComponent(id)}`, signal));
  return (
    <>
      <p>
        <a href={link("deaths")}>← {say("death.back")}</a>
      </p>
      <Shown live={death}>{(death) => <Story of={death} />}</Shown>
    </>
  );
}

function Story({ of }: { of: Document }) {
  const at = of.time === null ? null : Date.parse(of.time);
  const { main, rest, not } = weighed(of);
  const tell = useTell();
  const told = (claims: Claim[]) => claims.map((claim) => tell && whyTold(tell, of, claim));
  return (
    <>
      <section class="stack">
        <Headline of={of} />
        <Facts of={of} at={at} />
      </section>
      {at !== null && <Before of={of} at={at} />}
      <div class="panels is-uneven">
        <div class="stack">
          <Part head="death.why" when={main.length + rest.length > 0}>
            <Claims all={main} told={told(main)} at={at} weight="is-main" />
            <Claims all={rest} told={told(rest)} at={at} />
          </Part>
          <Part head="death.against" when={(of.contradictions ?? []).length > 0}>
            <Claims all={of.contradictions ?? []} at={at} />
          </Part>
          <Part head="death.not" when={not.length > 0}>
            <Claims all={not} at={at} weight="is-calm" />
          </Part>
        </div>
        <div class="stack">
          <Part head="death.advice" when={of.advice.length > 0}>
            <ul class="advice">
              {of.advice.map((advice) => (
                <li key={advice} lang="en">
                  {plain(advice)}
                </li>
              ))}
            </ul>
          </Part>
          <Part head="death.makeup" when={of.makeup !== null}>
            <Makeup of={of} />
          </Part>
          <Part head="death.tasks" when={of.tasks.length > 0}>
            <Tasks all={of.tasks} died={of.victim.pid} />
          </Part>
          <Part head="death.missing" when={(of.missing ?? []).length > 0}>
            <ul class="claims">
              {(of.missing ?? []).map(({ witness, why }) => (
                <li key={witness} class="said">
                  <span class="mono">{witness}</span> <span class="soft" lang="en">{plain(why)}</span>
                </li>
              ))}
            </ul>
          </Part>
        </div>
      </div>
    </>
  );
}

/** In the reader's language, if the recorder does not speak it: then its own sentence stands below. */
function Headline({ of }: { of: Document }) {
  const tell = useTell();
  const told = tell && deathTold(tell, of);
  return (
    <>
      <h1 class="sentence">{told?.what ?? <Own text={of.summary} />}</h1>
      {told && told.details !== "" && <p class="said">{told.details}</p>}
      {told && <Original text={of.summary} />}
    </>
  );
}

function Part({ head, when, children }: { head: Word; when: boolean; children: preact.ComponentChildren }) {
  const say = useSay();
  if (!when) return null;
  return (
    <section class="panel">
      <header>
        <h2>{say(head)}</h2>
      </header>
      {children}
    </section>
  );
}

const CONFIDENCES = ["certain", "likely", "possible", "unknown"] as const;

function Facts({ of, at }: { of: Document; at: number | null }) {
  const say = useSay();
  const told = of.memcg?.task ?? null;
  const whose = of.owner ? ownerOf(of.owner) : told === null ? null : ownerNamed(told);
  const confidence = CONFIDENCES.find((known) => known === of.confidence) ?? "unknown";
  const sender = of.sender ? [of.sender.comm, of.sender.pid].filter((part) => part !== null).join(" ") : "";
  return (
    <>
      <p class="facts">
        <span class="tag is-critical" title={of.cause}>
          {causeName(say, of.cause)}
        </span>
        <span class="tag">{say(`confidence.${confidence}`)}</span>
        {of.signal && <span class="tag">{of.signal}</span>}
        {at !== null && (
          <span class="soft">
            {clock(at, Date.now())} · <span class="mono">{utc(at)}</span>
          </span>
        )}
        {at !== null && whose && (
          <a class="mono" href={ownerLink(whose, aroundDeath(at))}>
            {short(called(whose))}
          </a>
        )}
        {at !== null && <a href={travel(at)}>{say("death.travel")}</a>}
      </p>
      {sender !== "" && (
        <p>
          {say("death.sender")} <span class="mono">{plain(sender)}</span>
        </p>
      )}
      {of.command && (
        <p class="soft said">
          {say("death.command")} <span class="mono">{plain(of.command)}</span>
        </p>
      )}
    </>
  );
}

const travel = (at: number): string =>
  link("time", null, { from: String(at - BEFORE_MS), to: String(at + AFTER_MS * 5), at: String(at - 1000) });

/** The cgroup whose limit was reached, or the one that it lived in. */
const place = (of: Document): string | null => of.memcg?.limit_owner ?? of.memcg?.task ?? null;

/** Near a limit it is read more often than it is drawn: of each step the most, or the peak would be missing. */
const highest = (series: string, step: number): string => `max(max_over_time(${series}[${step / 1000}s])) or max(${series})`;

async function curves(of: Document, span: { from: number; to: number }, step: number, signal: AbortSignal) {
  const exprs: { label: string; colour: string; expr: string }[] = [];
  const { pid, comm } = of.victim;
  if (pid !== null) {
    const label = `${plain(comm ?? "")} ${pid}`;
    exprs.push({ label, colour: "kind-anon", expr: highest(`highwater_process_resident_anon_bytes{pid="${pid}"}`, step) });
  }
  const cgroup = place(of);
  if (cgroup !== null && cgroup !== "/") {
    exprs.push({ label: plain(cgroup), colour: "curve-1", expr: highest(`container_memory_usage_bytes{id=${quoted(cgroup)}}`, step) });
  }
  const answers = await Promise.all(exprs.map(({ expr }) => range(expr, span, step, signal)));
  return answers.map((answer, at) => ({ points: answer.all[0]?.points ?? [], labels: exprs[at] ?? { label: "", colour: "" } }));
}

function Before({ of, at }: { of: Document; at: number }) {
  const say = useSay();
  const span = { from: at - BEFORE_MS, to: at + AFTER_MS };
  const step = stepMs(span, 1400);
  const found = useLive(`before ${at}`, null, async (signal) => {
    const cgroup = place(of);
    const expr = cgroup === null ? null : `container_spec_memory_limit_bytes{id=${quoted(cgroup)}}`;
    const limits = expr === null ? [] : (await query(expr, at - 1000, signal)).all;
    const told = limits[0]?.value ?? of.memcg?.limit_bytes ?? null;
    return { all: await curves(of, span, step, signal), limit: told !== null && Number.isFinite(told) ? told : null };
  });
  return (
    <Shown live={found}>
      {({ all, limit }) => {
        const drawn = plot(
          all.map(({ points }) => ({ labels: {}, points })),
          step,
          () => ({ label: "", colour: "" }),
        );
        drawn.lines.forEach((line, at) => Object.assign(line, all[at]?.labels));
        if (drawn.at.length === 0) return null;
        const marks = [{ at, colour: "critical" }];
        const title = limit === null ? say("death.before") : `${say("death.before")} · ${say("death.limit")} ${bytes(limit)}`;
        return <Chart title={title} plot={drawn} span={span} height={230} limit={limit} marks={marks} format={bytes} />;
      }}
    </Shown>
  );
}

/** As these are coloured elsewhere; what is not among them has the colour of the rest. */
const KINDS: Record<string, string> = {
  anon: "anon",
  anon_and_cache: "anon",
  shmem: "shmem",
  page_cache: "file",
  cache_and_shmem: "file",
  slab: "slab",
  slab_reclaimable: "slab",
  slab_unreclaimable: "slab",
  kernel: "slab",
  page_tables: "tables",
  kernel_stacks: "stacks",
  free: "free",
};

function Makeup({ of }: { of: Document }) {
  const say = useSay();
  if (!of.makeup) return null;
  const { parts, total_bytes: total } = of.makeup;
  const all = parts.map(({ kind, bytes }) => ({ kind: KINDS[kind] ?? "other", label: kindName(say, kind), bytes }));
  return (
    <div class="stack">
      <p class="soft said">
        {plain(of.makeup.of)} · {bytes(total)}
      </p>
      <Bar all={all} />
      <Legend all={all} total={total} />
    </div>
  );
}

function kindName(say: Say, kind: string): string {
  const word = `kind.${kind}`;
  return isWord(word) ? say(word) : plain(kind);
}

function Tasks({ all, died }: { all: Task[]; died: number | null }) {
  const say = useSay();
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={say("death.tasks")}>
      <table>
        <thead>
          <tr>
            <th class="number">{say("death.rank")}</th>
            <th>{say("processes.name")}</th>
            <th class="number">pid</th>
            <th class="number">{say("owners.memory")}</th>
            <th class="number">{say("death.badness")}</th>
          </tr>
        </thead>
        <tbody>
          {all.slice(0, TASKS).map((task) => (
            <tr key={task.pid} class={task.pid === died ? "is-chosen" : ""}>
              <td class="number">{task.rank ?? "–"}</td>
              <td class="mono comm" title={plain(task.comm ?? "")}>
                {plain(task.comm ?? "–")}
              </td>
              <td class="number soft">{task.pid}</td>
              <td class="number">{bytes(task.rss_bytes)}</td>
              <td class="number">{task.badness ?? "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
