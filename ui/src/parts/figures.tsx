// In short, beside the verdict: who waits for memory, swap, and who was killed. What is quiet stays quiet.

import type { Now, Stall } from "../documents";
import { bytes, percent, share, span } from "../format";
import { useSay, type Word } from "../words";

export function Figures({ of }: { of: Now }) {
  const say = useSay();
  const { swap_total_bytes: swap, swap_free_bytes: unused } = of.memory;
  const used = (swap ?? 0) - (unused ?? 0);
  return (
    <section class="figures">
      <Figure head="pressure.title">
        <Waiting of={of.pressure} />
      </Figure>
      <Figure head="swap.title">
        {swap ? (
          <p>
            <strong>{share(used, swap)}</strong> <span class="soft">{say("swap.of", { used: bytes(used), total: bytes(swap) })}</span>
          </p>
        ) : (
          <p class="soft">{say("swap.none")}</p>
        )}
      </Figure>
      <Figure head="kills.title">
        <p>
          <strong>{of.kills_since_boot ?? "–"}</strong> <span class="soft">{say("kills.since", { up: span(of.up_seconds) })}</span>
        </p>
      </Figure>
    </section>
  );
}

function Figure({ head, children }: { head: Word; children: preact.ComponentChildren }) {
  const say = useSay();
  return (
    <div class="figure">
      <h2>{say(head)}</h2>
      {children}
    </div>
  );
}

const shares = (of: Stall): number[] => [of.avg10_percent, of.avg60_percent, of.avg300_percent];

/** The windows of the kernel's averages, in seconds. */
const WINDOWS_S = [10, 60, 300];

function Waiting({ of: { some, full } }: { of: Now["pressure"] }) {
  const say = useSay();
  if (!some) return <p class="soft">{say("pressure.none")}</p>;
  if (shares(some).every((share) => percent(share) === "0 %")) return <p class="soft">{say("pressure.calm", { span: span(WINDOWS_S.at(-1)) })}</p>;
  return (
    <table class="waiting">
      <thead>
        <tr>
          <td />
          {WINDOWS_S.map((seconds) => (
            <th key={seconds} class="number">
              {span(seconds)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        <Row word="pressure.some" of={some} />
        {full && <Row word="pressure.full" of={full} />}
      </tbody>
    </table>
  );
}

function Row({ word, of }: { word: Word; of: Stall }) {
  const say = useSay();
  return (
    <tr>
      <th>{say(word)}</th>
      {shares(of).map((share, place) => (
        <td key={place} class="number">
          {percent(share)}
        </td>
      ))}
    </tr>
  );
}
