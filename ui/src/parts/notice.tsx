// What stands where there is nothing to show: what is wrong, and what to do.

import type { ComponentChildren } from "preact";

import type { Fault } from "../api";
import { clock, plain } from "../format";
import type { Live } from "../live";
import { useSay } from "../words";

export function Notice({ head, what }: { head: string; what: string }) {
  return (
    <p class="notice">
      <strong>{head}</strong>
      <span class="soft">{what}</span>
    </p>
  );
}

export function Wrong({ fault }: { fault: Fault }) {
  const say = useSay();
  return (
    <p class="notice is-fault" role="alert">
      <strong>{say(`fault.${fault.trouble}`)}</strong>
      <span class="soft">{say(`fault.${fault.trouble}Do`)}</span>
      <span class="mono soft"> ({plain(fault.message)})</span>
    </p>
  );
}

/** What is live: read, shown, shown though it is old, or not there and why. */
export function Shown<T>({ live, children }: { live: Live<T>; children: (value: T) => ComponentChildren }) {
  const say = useSay();
  if (live.value === null) {
    return live.fault ? <Wrong fault={live.fault} /> : <p class="soft" aria-busy="true">{say("load.busy")}</p>;
  }
  const at = clock(live.at ?? 0, Date.now());
  return (
    <>
      {live.fault?.trouble === "wrong" && <Wrong fault={live.fault} />}
      {live.fault && live.fault.trouble !== "wrong" && (
        <p class="notice is-stale" role="status">
          {say("load.stale", { at })}
        </p>
      )}
      {children(live.value)}
    </>
  );
}
