// All memory of a machine as one bar, up to the watermarks.

import type { ComponentChildren } from "preact";

import { bytes } from "../format";
import { KINDS, total, type Makeup } from "../memory";
import { useSay } from "../words";
import { Bar, Legend } from "./makeup";

interface Given {
  of: Makeup;
  /** Free memory below which the kernel reclaims, and below which it kills. */
  low: number | null;
  min: number | null;
  /** What stands beside the legend. */
  children?: ComponentChildren;
}

export function Whole({ of, low, min, children }: Given) {
  const say = useSay();
  const all = total(of);
  const pieces = KINDS.map((kind) => ({ kind, label: say(`memory.${kind}`), bytes: of[kind] }));
  return (
    <div class="stack">
      <Bar all={pieces} mark={low === null ? null : `${(low / all) * 100}%`} />
      <div class={children ? "panels" : ""}>
        <div class="stack">
          <Legend all={pieces} total={all} />
          {low !== null && min !== null && <p class="soft">{say("memory.marks", { low: bytes(low), min: bytes(min) })}</p>}
        </div>
        {children}
      </div>
    </div>
  );
}
