// What an owner is made of at a moment: its memory by kind, and its processes.

import { bytes, plain, share } from "../format";
import { PARTS, type Part } from "../owner";
import { useSay } from "../words";

const ANON = "highwater_process_resident_anon_bytes";
const RESIDENT = "process_resident_memory_bytes";
const FDS = "process_open_fds";
const THREADS = "process_threads";

export interface Member {
  pid: string;
  comm: string;
  /** Its amounts by the names of their metrics. */
  of: Record<string, number>;
}

/** One question for all processes that a matcher matches. */
export const members = (match: string): string => `{__name__=~"${[ANON, RESIDENT, FDS, THREADS].join("|")}",pid!="",${match}}`;

/** So many are listed, those with most memory first. */
const LISTED = 30;

export function Members({ all }: { all: Member[] }) {
  const say = useSay();
  if (all.length === 0) return <p class="soft">{say("owner.noMembers")}</p>;
  const sorted = [...all].sort((a, b) => (b.of[ANON] ?? 0) - (a.of[ANON] ?? 0)).slice(0, LISTED);
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={say("processes.title")}>
      <table>
        <thead>
          <tr>
            <th>{say("processes.name")}</th>
            <th class="number">pid</th>
            <th class="number">{say("processes.anon")}</th>
            <th class="number">{say("processes.resident")}</th>
            <th class="number">{say("owner.fds")}</th>
            <th class="number">{say("owner.threads")}</th>
          </tr>
        </thead>
        <tbody>
          {sorted.map(({ pid, comm, of }) => (
            <tr key={`${pid} ${comm}`}>
              <td class="mono">{plain(comm)}</td>
              <td class="number soft">{pid}</td>
              <td class="number" data-anon={of[ANON]}>
                {bytes(of[ANON])}
              </td>
              <td class="number">{bytes(of[RESIDENT])}</td>
              <td class="number">{of[FDS] ?? "–"}</td>
              <td class="number">{of[THREADS] ?? "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {all.length > LISTED && <p class="soft">{say("time.more", { n: all.length - LISTED })}</p>}
    </div>
  );
}

/** Its memory as one bar. */
export function Made({ of }: { of: Record<Part, number> }) {
  const say = useSay();
  const all = PARTS.reduce((sum, part) => sum + of[part], 0);
  const there = PARTS.filter((part) => of[part] > 0);
  return (
    <div class="stack">
      <div class="whole is-slim" aria-hidden="true">
        <div class="bar">
          {there.map((part) => (
            <span key={part} class={`kind-${part}`} style={{ flexGrow: of[part] }} />
          ))}
        </div>
      </div>
      <dl class="legend">
        {there.map((part) => (
          <div key={part}>
            <dt>
              <i class={`swatch kind-${part}`} aria-hidden="true" />
              {say(`owner.part.${part}`)}
            </dt>
            <dd data-part={part} data-bytes={of[part]}>
              {bytes(of[part])}
            </dd>
            <dd class="soft">{share(of[part], all)}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
