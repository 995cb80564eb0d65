// What was judged of one owner's growth: each thing that grows in full, the others in a line.

import type { Growth } from "../documents";
import { resourceName, verdictName } from "../finding";
import { amount, clock, percent, rate } from "../format";
import { isSame, ownerOf, type Owner } from "../owner";
import { useSay } from "../words";
import { Grounds, isGrowing, Runway } from "./growth";

export function Judged({ of, owner }: { of: Growth; owner: Owner }) {
  const say = useSay();
  const mine = of.items.filter((item) => {
    const whose = ownerOf(item.owner);
    return whose !== null && isSame(whose, owner);
  });
  if (mine.length === 0) return null;
  const growing = mine.filter(isGrowing);
  const others = mine.filter((item) => !isGrowing(item));
  const at = Date.parse(of.at);
  return (
    <section class="panel">
      <header>
        <h2>{say("growth.title")}</h2>
        <span class="soft">{say("growth.as", { at: clock(at, Date.now()) })}</span>
      </header>
      <ol class="entries">
        {growing.map((item) => (
          <li key={item.resource} class="grower">
            <div>
              <p class="facts">
                <span class={`tag is-${item.verdict}`}>{say(item.verdict === "leak" ? "verdict.leak" : "verdict.growing")}</span>
                <strong title={item.resource}>{resourceName(say, item.resource)}</strong>
                <span class="soft">{say("growth.sure", { n: percent(item.confidence * 100) })}</span>
              </p>
              <p>
                {say("growth.rate", {
                  rate: rate(item.rate_bytes_per_hour ?? 0, item.unit),
                  low: rate(item.rate_low ?? 0, item.unit),
                  high: rate(item.rate_high ?? 0, item.unit),
                })}
              </p>
            </div>
            <Runway of={item} />
            <Grounds of={item} at={at} />
          </li>
        ))}
      </ol>
      {others.length > 0 && (
        <p class="soft">
          {others.map((item) => `${resourceName(say, item.resource)}: ${verdictName(say, item.verdict)}, ${amount(item.current_bytes, item.unit)}`).join(" · ")}
        </p>
      )}
    </section>
  );
}
