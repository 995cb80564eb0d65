// Stretches of time as rows on one axis, with what happened as lines through all of them.

import type { ComponentChildren } from "preact";

import { drawn, isBad, type Stretch, type Urgency } from "../alerting";
import { moments, times } from "../axis";
import type { Mark } from "../documents";
import { clock } from "../format";
import { thinned } from "../marks";
import { link } from "../route";
import { useSay } from "../words";
import { Lane } from "./lane";
import { useWidth } from "./width";

export interface Track {
  key: string;
  /** What stands above its stretches. */
  head: ComponentChildren;
  urgency: Urgency;
  stretches: Stretch[];
  isChosen?: boolean;
}

interface Given {
  tracks: Track[];
  span: { from: number; to: number };
  marks: Mark[];
  /** A click at a moment. */
  pick: (at: number) => void;
}

/** The room at both sides is that of the charts: all begin and end at one line. */
const SIDES = 84;

/** A moment in words is so wide, with some room. */
const WORD = 96;

export function Spans({ tracks, span, marks, pick }: Given) {
  const { place, width: whole } = useWidth();
  const width = Math.max(120, whole - SIDES);
  const at = (moment: number): string => `${((moment - span.from) / (span.to - span.from)) * 100}%`;
  const ticks = marked(span, width / WORD);
  const bad = thinned(marks.filter(isBad), span, Math.ceil(width / 8)).map(({ mark }) => mark);
  return (
    <div class="spans" ref={place}>
      <Lane marks={marks} span={{ ...span, isLive: false }} />
      <div class="tracks">
        <div class="through" aria-hidden="true">
          {ticks.map((tick) => (
            <i key={tick.at} style={{ left: at(tick.at) }} />
          ))}
          {bad.map((mark, place) => (
            <i key={`${mark.at} ${place}`} class={`through-${mark.kind}`} style={{ left: at(Date.parse(mark.at)) }} />
          ))}
        </div>
        <ul>
          {tracks.map((track) => (
            <li key={track.key} class={track.isChosen ? "is-chosen" : ""}>
              <div class="track-head">{track.head}</div>
              <Drawn track={track} span={span} pixels={width / 3} pick={pick} />
            </li>
          ))}
        </ul>
      </div>
      <div class="scale" aria-hidden="true">
        {ticks.map((tick) => (
          <span key={tick.at} style={{ left: at(tick.at) }}>
            {tick.text}
          </span>
        ))}
      </div>
    </div>
  );
}

/** Round moments, and their words. */
function marked(span: { from: number; to: number }, places: number): { at: number; text: string }[] {
  const { all, step } = moments(span.from / 1000, span.to / 1000, places);
  const words = times(all, step);
  return all.map((at, place) => ({ at: at * 1000, text: words[place] ?? "" }));
}

interface Row {
  track: Track;
  span: { from: number; to: number };
  pixels: number;
  pick: (at: number) => void;
}

/** Whoever has no mouse follows the name above; the stretches are told to those who do not see them. */
function Drawn({ track, span, pixels, pick }: Row) {
  const say = useSay();
  const wide = span.to - span.from;
  const all = drawn(track.stretches, span, pixels);
  const words = (one: Stretch): string => say(`alerts.${one.state}Span`, { from: clock(one.from, 0), to: clock(one.to, 0) });
  const picked = (event: MouseEvent & { currentTarget: HTMLElement }): void => {
    const box = event.currentTarget.getBoundingClientRect();
    pick(span.from + ((event.clientX - box.left) / box.width) * wide);
  };
  return (
    <div class="track" role="img" aria-label={all.slice(-5).map(words).join("; ") || say("alerts.noSpan")} onClick={picked}>
      {all.map((one) => (
        <i
          key={`${one.state} ${one.from}`}
          class={`is-${one.state} of-${track.urgency}`}
          title={words(one)}
          style={{ left: `${((one.from - span.from) / wide) * 100}%`, width: `${((one.to - one.from) / wide) * 100}%` }}
        />
      ))}
    </div>
  );
}

/** The machine at a moment, with the time around it. */
export function moment(at: number, span: { from: number; to: number }): string {
  const around = Math.max(1_800_000, (span.to - span.from) / 24);
  return link("time", null, { from: String(Math.round(at - around)), to: String(Math.round(at + around)), at: String(Math.round(at)) });
}

/** What the colours of the stretches mean. */
export function Meaning() {
  const say = useSay();
  return (
    <p class="meaning soft">
      <i class="is-pending of-warning" aria-hidden="true" /> {say("alerts.pending")}
      <i class="is-firing of-warning" aria-hidden="true" /> {say("alerts.firing")}
      <i class="is-firing of-critical" aria-hidden="true" /> {say("alerts.firing")}, {say("severity.critical")}
    </p>
  );
}
