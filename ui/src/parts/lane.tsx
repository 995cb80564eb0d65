// The marks above the axis: what happened, each at its place, reached by the keyboard as well.

import type { Mark } from "../documents";
import { plain } from "../format";
import { thinned } from "../marks";
import { link, named, type Span } from "../route";
import { useSay } from "../words";

const SIGNS: Record<Mark["kind"], string> = { death: "✕", growth: "↗", restart: "↻", boot: "⏻", recorder: "○" };

/** So many can be met with a finger. */
const PLACES = 80;

export function Lane({ marks, span }: { marks: Mark[]; span: Span }) {
  const say = useSay();
  const place = (mark: Mark): string => `${((Date.parse(mark.at) - span.from) / (span.to - span.from)) * 100}%`;
  return (
    <div class="lane">
      {thinned(marks, span, PLACES).map(({ mark, others }) => {
        const more = others > 0 ? ` (${say("time.more", { n: others })})` : "";
        const words = `${say(`event.${mark.kind}`)}: ${plain(mark.text)}${more}`;
        const at = String(Date.parse(mark.at));
        const to = mark.id ? link("deaths", mark.id) : link("time", null, { ...named({ ...span, isLive: false }), at });
        return (
          <a key={`${mark.at} ${mark.text}`} class={`event-${mark.kind}`} style={{ left: place(mark) }} href={to} title={words} aria-label={words}>
            {SIGNS[mark.kind]}
          </a>
        );
      })}
    </div>
  );
}
