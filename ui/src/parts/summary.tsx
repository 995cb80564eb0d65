// An owner in four figures: what it has, how it grows, how it lives, how it died.

import type { DeathRow, Growth } from "../documents";
import { resourceName } from "../finding";
import { bytes, rate, share, span as spelled } from "../format";
import type { Life } from "../lives";
import { isSame, ownerOf, PARTS, type Owner, type Part } from "../owner";
import { causeName } from "../told";
import { useSay } from "../words";

interface Given {
  owner: Owner;
  made: Record<Part, number> | null;
  limit: number | null;
  lives: Life[];
  deaths: DeathRow[];
  growth: Growth | null;
  /** Its memory is that of another moment than the one that is asked for. */
  isOld: boolean;
  /** The end of what is looked at: what lives then may be dead now. */
  until: number;
}

/** From this share of a limit on it is written in red. */
const NEAR = 0.9;

export function Summary(given: Given) {
  return (
    <section class="summary" aria-busy={given.isOld || undefined}>
      <Amount {...given} />
      <Growing {...given} />
      <Living {...given} />
      <Dying {...given} />
    </section>
  );
}

function Amount({ made, limit }: Given) {
  const say = useSay();
  const used = made === null ? null : PARTS.reduce((sum, part) => sum + made[part], 0);
  const isNear = used !== null && limit !== null && used >= limit * NEAR;
  return (
    <div class="figure">
      <h2>{say("memory.title")}</h2>
      <strong class={isNear ? "is-near" : ""}>{bytes(used)}</strong>
      <p class="soft">{limit === null ? say("owners.noLimit") : say("owner.ofLimit", { share: share(used ?? 0, limit), limit: bytes(limit) })}</p>
    </div>
  );
}

function Growing({ owner, growth }: Given) {
  const say = useSay();
  const mine = (growth?.items ?? []).filter((item) => {
    const whose = ownerOf(item.owner);
    return whose !== null && isSame(whose, owner);
  });
  const worst = mine.find((item) => (item.verdict === "leak" || item.verdict === "growing") && (item.rate_bytes_per_hour ?? 0) > 0);
  const left = worst?.seconds_to_limit ?? null;
  return (
    <div class="figure">
      <h2>{say("owners.growth")}</h2>
      {worst ? (
        <strong class="grows">{`↗ ${rate(worst.rate_bytes_per_hour ?? 0, worst.unit)}`}</strong>
      ) : (
        <strong>{mine.length > 0 ? say("owner.steady") : "–"}</strong>
      )}
      <p class="soft">
        {worst ? [resourceName(say, worst.resource), left === null ? "" : left < 1 ? say("owners.full") : say("owners.left", { span: spelled(left) })].filter((part) => part !== "").join(" · ") : mine.length > 0 ? say("owner.judged", { n: mine.length }) : say("owner.unjudged")}
      </p>
    </div>
  );
}

function Living({ lives, until }: Given) {
  const say = useSay();
  const last = lives.at(-1);
  const since = last?.to === null && last.from !== null ? spelled((until - last.from) / 1000) : null;
  return (
    <div class="figure">
      <h2>{say("owner.lives")}</h2>
      <strong>{lives.length || "–"}</strong>
      <p class="soft">{since ? say("owner.upFor", { span: since }) : last && last.to !== null ? say("owner.ended", { span: spelled((Date.now() - last.to) / 1000) }) : say("owner.alive")}</p>
    </div>
  );
}

function Dying({ deaths }: Given) {
  const say = useSay();
  const last = deaths[0];
  return (
    <div class="figure">
      <h2>{say("deaths.title")}</h2>
      <strong class={last ? "is-near" : ""}>{deaths.length}</strong>
      <p class="soft">{last ? say("owner.died", { span: spelled((Date.now() - Date.parse(last.time)) / 1000), cause: causeName(say, last.cause) }) : say("owner.noDeaths")}</p>
    </div>
  );
}
