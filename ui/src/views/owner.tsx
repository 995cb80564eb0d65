// An owner through all its lives: memory by kind and its limits, restarts and deaths, descriptors,
// threads, waiting, and its processes at a moment.

import { document as ask, query, range, series, type Curve } from "../api";
import { plot, stepMs } from "../curves";
import type { Claim, DeathList, DeathRow, Growth, Mark, RestartStory } from "../documents";
import { bytes, clock, percent, plain, utc } from "../format";
import { useLive } from "../live";
import { deathsOf, seen, storiesOf, told, withLater, type Life } from "../lives";
import { above, among, called, cgroups, makeups, memoryOf, outermost, ownerAt, parts, PARTS, piledUp, sums, total, within, type Owner as Whose, type Part } from "../owner";
import { Chart, type Moment } from "../parts/chart";
import { Controls } from "../parts/controls";
import { Lane } from "../parts/lane";
import { Claims } from "../parts/claim";
import { Bands, LivesTable } from "../parts/lives";
import { Notice, Shown } from "../parts/notice";
import { Bar, Legend } from "../parts/makeup";
import { joined, Processes, processesOf, type Ran } from "../parts/processes";
import { Own } from "../parts/said";
import { Summary } from "../parts/summary";
import { link, type Route, type Span } from "../route";
import { rowTold } from "../told";
import { frame, jump, key, lines, PIXELS, useAxis, useTimeKeys, type Shared } from "../travel";
import { useSay, useTell, type Tell } from "../words";
import { Judged } from "./judged";

const DEATHS_EVERY_MS = 10_000;
const GROWTH_EVERY_MS = 120_000;

/** Of an owner that is made anew each time, such as a container: so many of its cgroups. */
const MOST_CGROUPS = 60;

/** So many limits of others are drawn: those that could be met first. */
const MOST_ABOVE = 2;

export function Owner({ route }: { route: Route }) {
  const say = useSay();
  const owner = ownerAt(route);
  if (!owner) {
    return (
      <>
        <h1>{say("nav.owner")}</h1>
        <Notice head={say("owner.none")} what={say("owner.noneDo")} />
      </>
    );
  }
  return <Story key={sums(owner)} route={route} owner={owner} />;
}

/** What was recorded of an owner in a span. */
interface Course {
  paths: string[];
  lives: Life[] | null;
  /** What its restarts add up to: a storm, a rhythm. */
  said: Claim[];
  memory: Curve[];
  limits: { label: string; curve: Map<number, number> }[];
  counts: Curve[];
  stalls: (Curve | null)[];
}

function Story({ route, owner }: { route: Route; owner: Whose }) {
  const say = useSay();
  const tell = useTell();
  const axis = useAxis(route);
  const { span, step, at, go } = axis;
  const list = useLive("deaths", DEATHS_EVERY_MS, (signal) => ask<DeathList>("deaths", signal), "events");
  const growth = useLive("growth", GROWTH_EVERY_MS, (signal) => ask<Growth>("growth", signal), "events");
  const course = useLive(key(span), null, (signal) => read(owner, span, step, say, signal));
  const deaths = deathsOf(list.value?.deaths ?? [], owner);
  const lives = livesOf(course.value, deaths, span, step);
  const marks = marksOf(lives, deaths, say("owner.began"), tell);
  const moments = marks.map((mark) => Date.parse(mark.at));
  useTimeKeys(route, axis, moments);
  const inside = marks.filter((mark) => Date.parse(mark.at) >= span.from && Date.parse(mark.at) <= span.to);
  const died = inside.filter((mark) => mark.kind === "death").map((mark): Moment => ({ at: Date.parse(mark.at), colour: "critical" }));
  const shared: Shared = { ...axis, lines: lines(axis, died) };
  return (
    <>
      <div class="title">
        <div>
          <p class="soft">{say(`owner.kind.${owner.kind}`)}</p>
          <h1 class="owner-name">{plain(called(owner))}</h1>
        </div>
        <Controls route={route} span={span} go={go} jump={(way) => jump(route, span, at, moments, way)} />
      </div>
      <Shown live={course}>
        {(course) =>
          course.memory.length === 0 && course.counts.length === 0 ? (
            <Notice head={say("owner.unseen")} what={say("owner.unseenDo")} />
          ) : (
            <>
              <Then owner={owner} course={course} at={at} until={Math.min(span.to, Date.now())} lives={lives} deaths={deaths} growth={growth.value}>
                <section class="stack" aria-label={say("memory.title")}>
                  <Lane marks={inside} span={span} />
                  <Bands lives={lives} span={span} show={(from, to) => go({ from, to, isLive: false })} />
                  <Memory course={course} {...shared} />
                  <Counts course={course} {...shared} />
                  <Stalls course={course} {...shared} />
                </section>
              </Then>
              <div class="panels is-uneven">
                <section class="panel">
                  <header>
                    <h2>{say("owner.lives")}</h2>
                    <span class="soft">{say(course.lives ? "owner.livesTold" : "owner.livesSeen")}</span>
                  </header>
                  {course.said.length > 0 && <Claims all={course.said} at={null} />}
                  <LivesTable all={lives} show={(from, to) => go({ from, to, isLive: false })} />
                </section>
                <section class="panel">
                  <header>
                    <h2>{say("deaths.title")}</h2>
                    <span class="soft">{deaths.length}</span>
                  </header>
                  <Deaths all={deaths} />
                </section>
              </div>
            </>
          )
        }
      </Shown>
      <Shown live={growth}>{(growth) => <Judged of={growth} owner={owner} />}</Shown>
    </>
  );
}

/** All that was recorded of an owner in a span: where it was first, then what it had there. */
async function read(owner: Whose, span: Span, step: number, say: ReturnType<typeof useSay>, signal: AbortSignal): Promise<Course> {
  const match = cgroups(owner);
  const [found, stories] = await Promise.all([
    match === null ? [] : series(`container_memory_usage_bytes{${match}}`, span, signal),
    // A server of an earlier version does not tell of lives: they are seen in the series then.
    ask<{ owners: RestartStory[] }>("restarts", signal).catch(() => ({ owners: [] })),
  ]);
  const whose = storiesOf(stories.owners, owner);
  const lives = await withPresent(owner, told(whose, []), signal);
  const known = [...found.map((labels) => labels["id"] ?? ""), ...lives.map((life) => life.cgroup ?? "")].filter((path) => path !== "");
  const paths = outermost(known.length > 0 ? known : owner.cgroup === undefined ? [] : [owner.cgroup]).slice(-MOST_CGROUPS);
  const get = async (expr: string): Promise<Curve[]> => (await range(expr, span, step, signal)).all;
  const wide = `${Math.max(30, (step / 1000) * 4)}s`;
  const stalled = ["waiting", "stalled"].map((kind) => `sum(rate(container_pressure_memory_${kind}_seconds_total{${among(paths)}}[${wide}])) * 100`);
  const [memory, limits, counts, ...stalls] = await Promise.all([
    get(paths.length > 0 ? memoryOf(paths) : anonOf(owner)).then(asKind),
    paths.length > 0 ? limitsOf(paths, get, say) : [],
    get(`{__name__=~"highwater_owner_(processes|threads|open_fds)",${sums(owner).slice(1)}`),
    ...stalled.map(async (expr) => (paths.length > 0 ? ((await get(expr))[0] ?? null) : null)),
  ]);
  return { paths, lives: lives.length > 0 ? lives : null, said: whose.flatMap(({ claims }) => claims), memory, limits, counts, stalls };
}

/** With the life that goes on, whatever span is looked at. */
async function withPresent(owner: Whose, lives: Life[], signal: AbortSignal): Promise<Life[]> {
  const from = lives.at(-1)?.to ?? null;
  if (from === null) return lives;
  const since = { from, to: Date.now() };
  const step = stepMs(since, PIXELS);
  const counts = await range(`sum(highwater_owner_processes${sums(owner)})`, since, step, signal);
  return withLater(lives, counts.all[0]?.points ?? [], step, since.to);
}

/** Of who has no cgroup of its own: what its processes have, as a kind of memory. */
const asKind = (curves: Curve[]): Curve[] =>
  curves.map((curve) => (curve.labels["__name__"] === ANON_SUM ? { ...curve, labels: { __name__: "container_memory_rss" } } : curve));
const ANON_SUM = "highwater_owner_resident_anon_bytes";
const anonOf = (owner: Whose): string => ANON_SUM + sums(owner);

const LIMITS = "container_spec_memory_limit_bytes|highwater_cgroup_memory_high_bytes";

/** Its own limits, and those above it that it shares with others. */
async function limitsOf(paths: string[], get: (expr: string) => Promise<Curve[]>, say: ReturnType<typeof useSay>): Promise<Course["limits"]> {
  const outer = above(paths);
  const [own, shared] = await Promise.all([
    get(`{__name__=~"${LIMITS}",${among(paths)}}`),
    outer.length > 0 ? get(`{__name__=~"${LIMITS}",${among(outer)}}`) : [],
  ]);
  const isMost = ({ labels }: Curve): boolean => labels["__name__"] === "container_spec_memory_limit_bytes";
  const all = [
    { label: say("owner.max"), curve: total(own.filter(isMost)) },
    { label: say("owner.high"), curve: total(own.filter((curve) => !isMost(curve))) },
  ];
  const others = shared.map((curve) => {
    const path = plain(curve.labels["id"] ?? "");
    return { label: say(isMost(curve) ? "owner.maxOf" : "owner.highOf", { path }), curve: total([curve]) };
  });
  const least = ({ curve }: { curve: Map<number, number> }): number => Math.min(...curve.values());
  const near = others.filter(({ curve }) => curve.size > 0).sort((a, b) => least(a) - least(b));
  return [...all.filter(({ curve }) => curve.size > 0), ...near.slice(0, MOST_ABOVE)];
}

function livesOf(course: Course | null, deaths: DeathRow[], span: Span, step: number): Life[] {
  if (!course) return [];
  const counts = course.counts.filter(({ labels }) => labels["__name__"] === "highwater_owner_processes");
  const usage = [...makeups(course.memory)].map(([at, of]): [number, number] => [at, Object.values(of).reduce((sum, part) => sum + part, 0)]);
  const lives = course.lives ?? seen([...total(counts)].sort(([a], [b]) => a - b), step, span, deaths);
  return lives.map((life) => ({ ...life, death: life.death ?? nearest(deaths, life.to), peak: life.peak ?? most(usage, life) }));
}

/** The most memory in the part of a life that is looked at. */
function most(usage: [number, number][], { from, to }: Life): number | null {
  const during = usage.filter(([at]) => at >= (from ?? -Infinity) && at <= (to ?? Infinity)).map(([, bytes]) => bytes);
  const peak = during.reduce((most, bytes) => Math.max(most, bytes), 0);
  return peak > 0 ? peak : null;
}

const nearest = (deaths: DeathRow[], at: number | null): string | null =>
  at === null ? null : (deaths.find((row) => Math.abs(Date.parse(row.time) - at) < 2_000)?.id ?? null);

/** Its deaths, and where it began again. */
function marksOf(lives: Life[], deaths: DeathRow[], began: string, tell: Tell | null): Mark[] {
  const starts = lives.slice(1).filter((life) => life.from !== null);
  return [
    ...deaths.map((row): Mark => ({ at: row.time, kind: "death", text: (tell && rowTold(tell, row)) ?? row.summary, id: row.id })),
    ...starts.map((life): Mark => ({ at: new Date(life.from ?? 0).toISOString(), kind: "restart", text: began, id: null })),
  ].sort((a, b) => a.at.localeCompare(b.at));
}

function Memory({ course, ...shared }: { course: Course } & Shared) {
  const say = useSay();
  const drawn = piledUp(course.memory, course.limits, shared.step, (part) => say(`owner.part.${part}`));
  if (drawn.at.length === 0) return <Notice head={say("owner.noCgroup")} what={say("owner.noCgroupDo")} />;
  return <Chart {...frame(shared)} title={say("memory.title")} plot={drawn} height={230} isPiled format={bytes} />;
}

const COUNTS = [
  { name: "highwater_owner_open_fds", word: "owner.fds", colour: "curve-1" },
  { name: "highwater_owner_threads", word: "owner.threads", colour: "curve-3" },
  { name: "highwater_owner_processes", word: "owner.processes", colour: "curve-7" },
] as const;

function Counts({ course, ...shared }: { course: Course } & Shared) {
  const say = useSay();
  const of = (wanted: readonly (typeof COUNTS)[number][]) => {
    const curves = wanted.map(({ name }) => ({ labels: { name }, points: [...total(course.counts.filter(({ labels }) => labels["__name__"] === name))] }));
    return plot(curves, shared.step, ({ labels }) => {
      const { word, colour } = COUNTS.find(({ name }) => name === labels["name"]) ?? COUNTS[0];
      return { label: say(word), colour };
    });
  };
  const whole = (value: number): string => (Number.isInteger(value) ? value.toLocaleString("en") : "");
  return (
    <>
      <Chart {...frame(shared)} title={say("owner.fdsTitle")} plot={of(COUNTS.slice(0, 1))} height={84} format={whole} most={4} />
      <Chart {...frame(shared)} title={say("owner.threadsTitle")} plot={of(COUNTS.slice(1))} height={84} format={whole} most={4} />
    </>
  );
}

function Stalls({ course, ...shared }: { course: Course } & Shared) {
  const say = useSay();
  const [some, full] = course.stalls;
  if (!some?.points.length && !full?.points.length) return <p class="soft">{say("owner.noStalls")}</p>;
  const told = [
    { label: say("pressure.some"), colour: "curve-6", curve: some },
    { label: say("pressure.full"), colour: "curve-2", curve: full },
  ];
  const drawn = plot(
    told.map(({ curve }, place) => ({ labels: { place: String(place) }, points: curve?.points ?? [] })),
    shared.step,
    ({ labels }) => told[Number(labels["place"])] ?? { label: "", colour: "" },
  );
  return <Chart {...frame(shared)} title={say("owner.stalls")} plot={drawn} height={84} format={percent} most={1} />;
}

interface Known {
  owner: Whose;
  course: Course;
  at: number;
  until: number;
  lives: Life[];
  deaths: DeathRow[];
  growth: Growth | null;
  children: preact.ComponentChildren;
}

/** In short, then the course, then who is in it at the chosen moment. */
function Then({ owner, course, at, until, lives, deaths, growth, children }: Known) {
  const say = useSay();
  const then = useLive(`then ${at}`, null, async (signal) => {
    if (course.paths.length === 0) {
      const sum = (await query(anonOf(owner), at, signal)).all[0]?.value;
      return { at, made: sum === undefined ? null : parts({ anon: sum }), limit: null, all: [] as Ran[] };
    }
    const [memory, limits, processes] = await Promise.all([
      query(memoryOf(course.paths), at, signal),
      query(`min(container_spec_memory_limit_bytes{${among([...course.paths, ...above(course.paths)])}})`, at, signal),
      query(processesOf(within(course.paths)), at, signal),
    ]);
    const made = [...makeups(memory.all.map(({ labels, value }) => ({ labels, points: [[0, value]] }))).values()][0] ?? null;
    const limit = limits.all[0]?.value ?? Infinity;
    return { at, made, limit: Number.isFinite(limit) ? limit : null, all: joined(processes.all) };
  });
  // The moment of what is shown, until the next has come.
  const shown = then.value?.at ?? at;
  return (
    <>
      <Summary isOld={then.isOld} owner={owner} made={then.value?.made ?? null} limit={then.value?.limit ?? null} lives={lives} deaths={deaths} growth={growth} until={until} />
      {children}
      <section class="panel" aria-busy={then.isOld || undefined}>
        <header>
          <h2 title={utc(shown)}>{say("time.then", { at: clock(shown, Date.now()) })}</h2>
          <a href={link("time", null, { from: String(Math.round(at - 900_000)), to: String(Math.round(at + 300_000)), at: String(Math.round(at)) })}>{say("owner.machine")}</a>
        </header>
        <Shown live={then}>
          {({ made, all }) => (
            <>
              {made && <Made of={made} />}
              {all.length === 0 ? <p class="soft">{say("owner.noMembers")}</p> : <Processes all={all} isOfOne />}
            </>
          )}
        </Shown>
      </section>
    </>
  );
}

/** Its memory as one bar, of the kinds that there are. */
function Made({ of }: { of: Record<Part, number> }) {
  const say = useSay();
  const all = PARTS.filter((part) => of[part] > 0).map((part) => ({ kind: part, label: say(`owner.part.${part}`), bytes: of[part] }));
  return (
    <div class="stack">
      <Bar all={all} isSlim />
      <Legend all={all} total={all.reduce((sum, { bytes }) => sum + bytes, 0)} />
    </div>
  );
}

/** So many are listed. */
const LISTED = 12;

function Deaths({ all }: { all: DeathRow[] }) {
  const say = useSay();
  const tell = useTell();
  if (all.length === 0) return <p class="soft">{say("owner.noDeaths")}</p>;
  return (
    <>
      <ul class="claims">
        {all.slice(0, LISTED).map((row) => (
          <li key={row.id}>
            <span class="mono soft" title={row.time}>
              {clock(Date.parse(row.time), Date.now())}
            </span>{" "}
            <a href={link("deaths", row.id)}>{(tell && rowTold(tell, row)) ?? <Own text={row.summary} />}</a>
          </li>
        ))}
      </ul>
      {all.length > LISTED && <p class="soft">{say("time.more", { n: all.length - LISTED })}</p>}
    </>
  );
}
