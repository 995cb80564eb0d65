// Owners as ranked bars with their limits.

import type { Growing } from "../documents";
import { bytes, plain, rate, share, short, span } from "../format";
import { ownerLink, type Owner } from "../owner";
import { useSay } from "../words";

export interface Held {
  name: string;
  /** Where the name leads. */
  owner: Owner | null;
  anon: number;
  usage: number | null;
  limit: number | null;
  growing: Growing | null;
}

/** From this share of a limit on it is written in red. */
const NEAR = 0.9;

/** What its cgroup has, page cache included; without one, what its processes have. */
const used = (held: Held): number => Math.max(held.usage ?? 0, held.anon);

/** A name that leads to whose it is, with the span that is looked at. */
export function Name({ name, owner, given = {} }: { name: string; owner: Owner | null; given?: Record<string, string> }) {
  return owner ? <a href={ownerLink(owner, given)}>{short(name)}</a> : <>{short(name)}</>;
}

interface Given {
  all: Held[];
  /** The span and the moment that go along to an owner. */
  given?: Record<string, string>;
}

export function Holders({ all, given }: Given) {
  const say = useSay();
  const sorted = [...all].sort((a, b) => used(b) - used(a));
  const most = Math.max(1, ...sorted.map(used));
  const isAnyGrowing = sorted.some((held) => held.growing !== null);
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={say("owners.memory")}>
      <table>
        <thead>
          <tr>
            <th>{say("owners.owner")}</th>
            <th class="number">{say("owners.memory")}</th>
            <td class="wide-only" />
            <th class="number">{say("owners.limit")}</th>
            {isAnyGrowing && <th class="wide-only">{say("owners.growth")}</th>}
          </tr>
        </thead>
        <tbody>
          {sorted.map((held) => (
            <Row key={held.name} held={held} most={most} given={given ?? {}} isAnyGrowing={isAnyGrowing} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ held, most, given, isAnyGrowing }: { held: Held; most: number; given: Record<string, string>; isAnyGrowing: boolean }) {
  const say = useSay();
  const { limit } = held;
  const amount = used(held);
  const isNear = limit !== null && amount >= limit * NEAR;
  return (
    <tr class={held.growing ? "is-growing" : ""}>
      <td class="name mono" title={plain(held.name)}>
        <Name name={held.name} owner={held.owner} given={given} />
        {held.growing && (
          <span class="narrow-only">
            <Arrow of={held.growing} />
          </span>
        )}
      </td>
      <td class="number" data-bytes={amount}>
        {bytes(amount)}
      </td>
      <td class="wide wide-only">
        <Level used={amount} anon={held.anon} limit={limit} most={most} isNear={isNear} />
      </td>
      <td class="number">
        {limit === null ? (
          <span class="soft">{say("owners.noLimit")}</span>
        ) : (
          <span class={isNear ? "is-near" : ""}>
            {share(amount, limit)} <span class="wide-only">· {bytes(limit)}</span>
          </span>
        )}
      </td>
      {isAnyGrowing && <td class="wide-only">{held.growing && <Arrow of={held.growing} />}</td>}
    </tr>
  );
}

/** How much there is, of it what is anonymous, and where the limit is if it is in reach of the scale. */
function Level({ used, anon, limit, most, isNear }: { used: number; anon: number; limit: number | null; most: number; isNear: boolean }) {
  const at = (value: number): string => `${Math.min(100, (value / most) * 100)}%`;
  return (
    <span class="level" aria-hidden="true">
      <span style={{ width: at(used) }} />
      <span style={{ width: at(Math.min(anon, used)) }} />
      {limit !== null && limit <= most && <i class={isNear ? "is-met" : ""} style={{ left: at(limit) }} />}
    </span>
  );
}

function Arrow({ of }: { of: Growing }) {
  const say = useSay();
  const pace = of.rate_bytes_per_hour === null ? say("owners.grows") : `+${rate(of.rate_bytes_per_hour, of.unit)}`;
  const seconds = of.seconds_to_limit;
  const left = seconds === null ? "" : seconds < 1 ? say("owners.full") : say("owners.left", { span: span(seconds) });
  return (
    <span class="grows">
      <strong>↗ {pace}</strong> {left}
    </span>
  );
}
