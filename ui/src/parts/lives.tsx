// The lives of an owner, as bands on an axis and as a table.

import { bytes, clock, span as spelled } from "../format";
import type { Life } from "../lives";
import { link, type Span } from "../route";
import { causeName } from "../told";
import { useSay, type Say } from "../words";

type Show = (from: number, to: number) => void;

/** More bands than this are too thin to be met, by a finger or by the Tab key. */
const MET = 40;

const ends = (life: Life, span: Span): [number, number] => [Math.max(life.from ?? span.from, span.from), Math.min(life.to ?? Date.now(), span.to)];

export function Bands({ lives, span, show }: { lives: Life[]; span: Span; show: Show }) {
  const say = useSay();
  const wide = span.to - span.from;
  const inside = lives.filter((life) => (life.from ?? 0) < span.to && (life.to ?? Infinity) > span.from);
  return (
    <div class="bands" role="group" aria-label={say("owner.lives")}>
      {inside.map((life, place) => {
        const [from, to] = ends(life, span);
        const shown = { class: life.to === null ? "is-alive" : "", style: { left: `${((from - span.from) / wide) * 100}%`, width: `${((to - from) / wide) * 100}%` } };
        const words = told(life, say);
        const label = (to - from) / wide > 0.06 ? (life.to === null ? say("owner.alive") : lasted(life)) : "";
        return inside.length > MET ? (
          <span key={place} {...shown} />
        ) : (
          <button key={place} type="button" {...shown} title={words} aria-label={words} onClick={() => show(...around(life, span))}>
            {label}
          </button>
        );
      })}
    </div>
  );
}

/** A life with some room about it. */
function around(life: Life, span: Span): [number, number] {
  const [from, to] = [life.from ?? span.from, life.to ?? span.to];
  const room = Math.max((to - from) * 0.05, 5_000);
  return [from - room, to + room];
}

const lasted = (life: Life): string => (life.from === null || life.to === null ? "" : spelled((life.to - life.from) / 1000));

const moment = (at: number | null, otherwise: string): string => (at === null ? otherwise : clock(at, Date.now()));

function told(life: Life, say: Say): string {
  const words = { from: moment(life.from, say("owner.before")), to: moment(life.to, say("owner.alive")) };
  return [lasted(life), say("owner.life", words), life.cause === null ? "" : causeName(say, life.cause), life.peak === null ? "" : say("owner.peakOf", { peak: bytes(life.peak) })].filter((part) => part !== "").join(" · ");
}

/** So many are listed, the newest first. */
const LISTED = 12;

export function LivesTable({ all, show }: { all: Life[]; show: Show }) {
  const say = useSay();
  if (all.length === 0) return <p class="soft">{say("owner.noLives")}</p>;
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={say("owner.lives")}>
      <table>
        <thead>
          <tr>
            <th>{say("owner.from")}</th>
            <th class="number">{say("owner.lasted")}</th>
            <th class="number">{say("owner.peak")}</th>
            <th>{say("owner.end")}</th>
          </tr>
        </thead>
        <tbody>
          {all
            .slice(-LISTED)
            .reverse()
            .map((life, place) => (
              <tr key={place}>
                <td>
                  <button class="linked" type="button" title={told(life, say)} onClick={() => show(...around(life, { from: life.to ?? Date.now(), to: Date.now(), isLive: true }))}>
                    {moment(life.from, say("owner.before"))}
                  </button>
                </td>
                <td class="number">{life.to === null ? <span class="tag is-alive">{say("owner.alive")}</span> : lasted(life) || "–"}</td>
                <td class="number">{bytes(life.peak)}</td>
                <td>{life.to === null ? "" : <End of={life} />}</td>
              </tr>
            ))}
        </tbody>
      </table>
      {all.length > LISTED && <p class="soft">{say("time.more", { n: all.length - LISTED })}</p>}
    </div>
  );
}

function End({ of }: { of: Life }) {
  const say = useSay();
  const words = of.cause === null ? say("owner.endUnknown") : causeName(say, of.cause);
  const code = of.cause === null ? {} : { title: of.cause };
  return of.death ? (
    <a href={link("deaths", of.death)} {...code}>
      {words}
    </a>
  ) : (
    <span class="soft" {...code}>
      {words}
    </span>
  );
}
