// The marks above the axis: what happened, each at its place, reached by the keyboard as well.

import type { Mark } from "../documents";
import { markTold } from "../finding";
import { clock, plain } from "../format";
import { grouped } from "../marks";
import { link, named, type Span } from "../route";
import { useSay, useTell } from "../words";
import { Sign } from "./sign";
import { useWidth } from "./width";

/** What a finger can meet is so wide, in pixels. */
const ROOM = 26;

export function Lane({ marks, span }: { marks: Mark[]; span: Span }) {
  const say = useSay();
  const tell = useTell();
  const { place, width } = useWidth();
  const left = (mark: Mark): string => `${((Date.parse(mark.at) - span.from) / (span.to - span.from)) * 100}%`;
  return (
    <div class="lane" ref={place}>
      {grouped(marks, span, width / ROOM).map(({ mark, alike, others }) => {
        const more = others > 0 ? ` (${say("time.more", { n: others })})` : "";
        const count = alike > 1 ? `${alike} × ` : "";
        const words = `${clock(Date.parse(mark.at), Date.now())} ${count}${say(`event.${mark.kind}`)}: ${(tell && markTold(tell, say, mark)) ?? plain(mark.text)}${more}`;
        const at = String(Date.parse(mark.at));
        const to = mark.id ? link("deaths", mark.id) : link("time", null, { ...named({ ...span, isLive: false }), at });
        return (
          <a key={`${mark.at} ${mark.text}`} class={`event-${mark.kind}`} style={{ left: left(mark) }} href={to} title={words} aria-label={words}>
            <Sign kind={mark.kind} />
            {alike > 1 && <span class="count">{alike}</span>}
          </a>
        );
      })}
    </div>
  );
}
