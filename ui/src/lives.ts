// The lives of an owner: as their ends were told, or as its processes were seen.

import type { DeathRow, RestartStory } from "./documents";
import { isSame, ownerNamed, ownerOf, type Owner } from "./owner";

export interface Life {
  /** Null: before anything was recorded. */
  from: number | null;
  /** Null: it lives. */
  to: number | null;
  cause: string | null;
  summary: string | null;
  peak: number | null;
  cgroup: string | null;
  /** How its death is called, where that is on record. */
  death: string | null;
}

/** Those stories that are an owner's. */
export function storiesOf(stories: RestartStory[], owner: Owner): RestartStory[] {
  return stories.filter((story) => {
    const told = ownerOf(story.owner);
    return told !== null && isSame(told, owner);
  });
}

/** The lives that stories tell of, oldest first. */
export function told(stories: RestartStory[], deaths: DeathRow[]): Life[] {
  return stories
    .flatMap((story) => story.lives)
    .map((life) => {
      const to = life.ended === null ? null : Date.parse(life.ended);
      return {
        from: life.started === null ? null : Date.parse(life.started),
        to,
        cause: life.cause,
        summary: life.summary,
        peak: life.memory.peak_bytes,
        cgroup: life.cgroup,
        death: to === null ? null : (deaths.find((row) => Math.abs(Date.parse(row.time) - to) < NEAR_MS)?.id ?? null),
      };
    })
    .sort((a, b) => (a.from ?? 0) - (b.from ?? 0));
}

/** An end and the death that made it are told this far apart at most. */
const NEAR_MS = 2_000;

/** A reading counts for so long: one from before an end is still there after it. */
const LINGERS_MS = 5_000;

/**
 * Those that were told of, and what was seen since the last of them ended: nobody has to tell of a life before
 * its end. Of readings each `step` up to `until`.
 */
export function withLater(told: Life[], points: [number, number][], step: number, until: number): Life[] {
  const ended = told.at(-1)?.to ?? null;
  if (ended === null) return told;
  const later = points.filter(([at]) => at > ended + LINGERS_MS);
  return [...told, ...seen(later, step, { from: -Infinity, to: until }, [])];
}

/** The deaths of an owner, the newest first; those of a cgroup with those of the cgroups in it. */
export function deathsOf(rows: DeathRow[], owner: Owner): DeathRow[] {
  return rows.filter((row) => {
    const whose = row.owner === null ? null : ownerNamed(row.owner);
    if (whose === null) return false;
    const isInside = owner.kind === "cgroup" && whose.kind === "cgroup" && whose.id.startsWith(`${owner.id}/`);
    return isInside || isSame(whose, owner);
  });
}

/** Lives as they were seen: while there were processes, from one death to the next. */
export function seen(points: [number, number][], step: number, span: { from: number; to: number }, deaths: DeathRow[]): Life[] {
  const present = points.filter(([, count]) => count > 0).map(([at]) => at);
  const ends = deaths.map((row) => ({ at: Date.parse(row.time), row })).sort((a, b) => a.at - b.at);
  const lives: Life[] = [];
  let from = present[0];
  present.forEach((at, place) => {
    const next = present[place + 1];
    // With the reading before it, a death within a step belongs to this life.
    const death = ends.find((end) => end.at > at - step && end.at <= (next ?? at + step * 2.5));
    const isEnd = next === undefined || next - at > step * 2.5;
    if (from === undefined || !isEnd) return;
    const isLast = next === undefined && span.to - at <= step * 2.5 && !death;
    lives.push({
      from: from - span.from <= step * 2 ? null : from,
      to: isLast ? null : (death?.at ?? at),
      cause: death?.row.cause ?? null,
      summary: death?.row.summary ?? null,
      peak: null,
      cgroup: null,
      death: death?.row.id ?? null,
    });
    from = next;
  });
  return lives;
}
