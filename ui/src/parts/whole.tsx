// All memory as one bar, and what its colours mean.

import type { ComponentChildren } from "preact";

import { bytes, share } from "../format";
import { KINDS, total, type Makeup } from "../memory";
import { useSay } from "../words";

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
  return (
    <div class="stack">
      <div class="whole" aria-hidden="true">
        <div class="bar">
          {KINDS.map((kind) => (
            <span key={kind} class={`kind-${kind}`} style={{ flexGrow: of[kind] }} />
          ))}
        </div>
        {low !== null && <i class="water" style={{ right: `${(low / all) * 100}%` }} />}
      </div>
      <div class={children ? "panels" : ""}>
      <div class="stack">
      <dl class="legend">
        {KINDS.map((kind) => (
          <div key={kind}>
            <dt>
              <i class={`swatch kind-${kind}`} aria-hidden="true" />
              {say(`memory.${kind}`)}
            </dt>
            <dd data-kind={kind} data-bytes={of[kind]}>
              {bytes(of[kind])}
            </dd>
            <dd class="soft">{share(of[kind], all)}</dd>
          </div>
        ))}
      </dl>
      {low !== null && min !== null && <p class="soft">{say("memory.marks", { low: bytes(low), min: bytes(min) })}</p>}
      </div>
      {children}
      </div>
    </div>
  );
}
