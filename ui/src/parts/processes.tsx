// Processes at a moment, as a table: of the whole machine with their owners, of one owner with more of their own.

import type { Sample } from "../api";
import { bytes, plain } from "../format";
import type { Owner } from "../owner";
import { useSay } from "../words";
import { Name } from "./holders";

export interface Ran {
  pid: string;
  comm: string;
  /** Null, as every amount: nobody told. */
  anon: number | null;
  resident?: number | null;
  fds?: number | null;
  threads?: number | null;
  owner?: string;
  whose?: Owner | null;
}

interface Given {
  all: Ran[];
  /** All are of one owner, which is not said of each. */
  isOfOne?: boolean;
  /** The span and the moment that go along to an owner. */
  given?: Record<string, string>;
}

/** So many are listed. */
const LISTED = 30;

export function Processes({ all, isOfOne = false, given = {} }: Given) {
  const say = useSay();
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={say("processes.title")}>
      <table>
        <thead>
          <tr>
            <th>{say("processes.name")}</th>
            <th class="number">pid</th>
            <th class="number">{say("processes.anon")}</th>
            {isOfOne ? (
              <>
                <th class="number">{say("processes.resident")}</th>
                <th class="number">{say("owner.fds")}</th>
                <th class="number">{say("owner.threads")}</th>
              </>
            ) : (
              <th>{say("owners.owner")}</th>
            )}
          </tr>
        </thead>
        <tbody>
          {all.slice(0, LISTED).map((ran) => (
            <Row key={`${ran.pid} ${ran.comm}`} ran={ran} isOfOne={isOfOne} given={given} />
          ))}
        </tbody>
      </table>
      {all.length > LISTED && <p class="soft">{say("time.more", { n: all.length - LISTED })}</p>}
    </div>
  );
}

function Row({ ran, isOfOne, given }: { ran: Ran; isOfOne: boolean; given: Record<string, string> }) {
  const { pid, comm, anon, owner = "", whose = null } = ran;
  return (
    <tr>
      <td class="mono comm" title={plain(comm)}>
        {plain(comm)}
      </td>
      <td class="number soft">{pid}</td>
      <td class="number" data-anon={anon ?? ""}>
        {bytes(anon)}
      </td>
      {isOfOne ? (
        <>
          <td class="number">{bytes(ran.resident)}</td>
          <td class="number">{ran.fds ?? "–"}</td>
          <td class="number">{ran.threads ?? "–"}</td>
        </>
      ) : (
        <td class="name mono soft" title={plain(owner)}>
          <Name name={owner} owner={whose} given={given} />
        </td>
      )}
    </tr>
  );
}

const AMOUNTS = {
  highwater_process_resident_anon_bytes: "anon",
  process_resident_memory_bytes: "resident",
  process_open_fds: "fds",
  process_threads: "threads",
} as const;

/** One question for all that is told of the processes that a matcher matches. */
export const processesOf = (match: string): string => `{__name__=~"${Object.keys(AMOUNTS).join("|")}",pid!="",${match}}`;

/** One row for each process, of its series; those with most memory first. */
export function joined(all: Sample[]): Ran[] {
  const known = new Map<string, Ran>();
  for (const { labels, value } of all) {
    const { pid = "", start = "", comm = "" } = labels;
    const of = known.get(`${pid} ${start}`) ?? { pid, comm, anon: null };
    known.set(`${pid} ${start}`, of);
    const amount = AMOUNTS[labels["__name__"] as keyof typeof AMOUNTS];
    if (amount) of[amount] = value;
  }
  return [...known.values()].sort((a, b) => (b.anon ?? 0) - (a.anon ?? 0));
}
