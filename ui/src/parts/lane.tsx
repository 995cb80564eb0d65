// The marks above the axis: what happened, each at its place, reached by the keyboard as well.

import type { Mark } from "../documents";
import { plain } from "../format";
import { link, type Span } from "../route";
import { useSay } from "../words";

const SIGNS: Record<Mark["kind"], string> = { death: "✕", growth: "↗", restart: "↻", boot: "⏻", recorder: "○" };

/** Those that are shown: of more the most important, so that each can be met with a finger. */
const MOST = 60;
const WEIGHT: Record<Mark["kind"], number> = { death: 0, growth: 1, boot: 2, restart: 3, recorder: 4 };

export function Lane({ marks, span }: { marks: Mark[]; span: Span }) {
  const say = useSay();
  const kept = [...marks].sort((a, b) => WEIGHT[a.kind] - WEIGHT[b.kind]).slice(0, MOST);
  const place = (mark: Mark): string => `${((Date.parse(mark.at) - span.from) / (span.to - span.from)) * 100}%`;
  return (
    <div class="lane">
      {kept.reverse().map((mark) => {
        const words = `${say(`event.${mark.kind}`)}: ${plain(mark.text)}`;
        const at = String(Date.parse(mark.at));
        const to = mark.id ? link("deaths", mark.id) : link("time", null, { ...around(span), at });
        return (
          <a key={`${mark.at} ${mark.text}`} class={`event-${mark.kind}`} style={{ left: place(mark) }} href={to} title={words} aria-label={words}>
            {SIGNS[mark.kind]}
          </a>
        );
      })}
    </div>
  );
}

const around = (span: Span): Record<string, string> => ({ from: String(Math.round(span.from)), to: String(Math.round(span.to)) });
