// How to move along the axis by hand; each has a key, too.

import { span as spelled } from "../format";
import { set, type Route, type Span } from "../route";
import { useSay, type Word } from "../words";

const LASTS = [900, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400];

interface Given {
  route: Route;
  span: Span;
  go: (span: Span) => void;
  jump?: (way: -1 | 1) => void;
}

export function Controls({ route, span, go, jump }: Given) {
  const say = useSay();
  const wide = span.to - span.from;
  const last = span.isLive ? Math.round(wide / 1000) : null;
  const moved = (by: number): void => go({ from: span.from + by, to: span.to + by, isLive: false });
  const scaled = (by: number): void => {
    const middle = (span.from + span.to) / 2;
    go({ from: middle - (wide * by) / 2, to: middle + (wide * by) / 2, isLive: false });
  };
  const button = (word: Word, sign: string, act: () => void) => (
    <button type="button" aria-label={say(word)} title={say(word)} onClick={act}>
      {sign}
    </button>
  );
  const all = last === null || LASTS.includes(last) ? LASTS : [last, ...LASTS];
  return (
    <div class="controls" role="group" aria-label={say("time.span")}>
      <select
        aria-label={say("time.span")}
        value={last === null ? "" : String(last)}
        onChange={(event) => set(route, { last: event.currentTarget.value, from: "", to: "", at: "" }, true)}
      >
        {last === null && <option value="">{spelled(wide / 1000)}</option>}
        {all.map((seconds) => (
          <option key={seconds} value={String(seconds)}>
            {say("time.last", { span: spelled(seconds) })}
          </option>
        ))}
      </select>
      {button("time.back", "←", () => moved(-wide / 2))}
      {button("time.forth", "→", () => moved(wide / 2))}
      {button("time.in", "+", () => scaled(0.5))}
      {button("time.out", "−", () => scaled(2))}
      {jump && button("time.before", "[", () => jump(-1))}
      {jump && button("time.after", "]", () => jump(1))}
      <button
        type="button"
        aria-pressed={span.isLive}
        onClick={() => set(route, { last: String(Math.round(wide / 1000)), from: "", to: "", at: "" }, true)}
      >
        {say("time.live")}
      </button>
    </div>
  );
}
