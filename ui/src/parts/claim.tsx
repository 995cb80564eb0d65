// A statement and what it stands on. Whatever a machine said is text and nothing else.

import type { Claim, Evidence } from "../documents";
import { address, series } from "../evidence";
import { plain } from "../format";
import { useSay } from "../words";
import { Original, Own } from "./said";

export function Proof({ evidence, at }: { evidence: Evidence[]; at: number | null }) {
  const say = useSay();
  if (evidence.length === 0) return null;
  return (
    <details class="evidence">
      <summary>
        {say("look.evidence")} · {evidence.length}
      </summary>
      <ul>
        {evidence.map((one, place) => (
          <li key={place}>
            <span>
              {plain(one.source)}
              {one.line === null ? "" : `:${one.line}`}
            </span>
            {plain(one.text)} <Way evidence={one} at={at} />
          </li>
        ))}
      </ul>
    </details>
  );
}

/** To the curve that evidence tells of. */
function Way({ evidence, at }: { evidence: Evidence; at: number | null }) {
  const say = useSay();
  const shown = series(evidence.source, evidence.text, at);
  return shown ? <a href={address(shown)}>{say("look.series")}</a> : null;
}

/** `told` has of each claim what it says in the reader's language, where that is known. */
export function Claims({ all, at, weight = "", told = [] }: { all: Claim[]; at: number | null; weight?: "is-main" | "is-calm" | ""; told?: (string | null)[] }) {
  if (all.length === 0) return null;
  return (
    <ul class={`claims ${weight}`}>
      {all.map((claim, place) => (
        <li key={place}>
          <p class="said">{told[place] ?? <Own text={claim.text} />}</p>
          {told[place] && <Original text={claim.text} />}
          <Proof evidence={claim.evidence} at={at} />
        </li>
      ))}
    </ul>
  );
}
