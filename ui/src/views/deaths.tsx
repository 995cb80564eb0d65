// Deaths: all that are on record, or one of them.

import { useState } from "preact/hooks";

import { document as ask } from "../api";
import type { DeathList, DeathRow } from "../documents";
import { bytes, clock, plain, short, utc } from "../format";
import { useLive } from "../live";
import { aroundDeath, ownerLink, ownerNamed } from "../owner";
import { Notice, Shown } from "../parts/notice";
import { Original, Own } from "../parts/said";
import { link, type Route } from "../route";
import { causeName, rowTold } from "../told";
import { useSay, useTell, type Say } from "../words";
import { Death } from "./death";

const EVERY_MS = 10_000;

/** So many are drawn; the filter finds the others. */
const DRAWN = 200;

export function Deaths({ route }: { route: Route }) {
  return route.id === null ? <List /> : <Death key={route.id} id={route.id} />;
}

function List() {
  const say = useSay();
  const [wanted, setWanted] = useState("");
  const list = useLive("deaths", EVERY_MS, (signal) => ask<DeathList>("deaths", signal), "events");
  return (
    <>
      <div class="title">
        <h1>{say("deaths.title")}</h1>
        {(list.value?.deaths.length ?? 0) > 1 && (
          <input
            class="filter"
            type="search"
            aria-label={say("deaths.filter")}
            placeholder={say("deaths.filter")}
            value={wanted}
            onInput={(event) => setWanted(event.currentTarget.value)}
          />
        )}
      </div>
      <Shown live={list}>{(list) => <Rows list={list} wanted={wanted} />}</Shown>
    </>
  );
}

function Rows({ list, wanted }: { list: DeathList; wanted: string }) {
  const say = useSay();
  const count = list.deaths.length;
  const rows = list.deaths.filter((row) => matches(row, wanted, say));
  if (count === 0) {
    return (
      <>
        <Notice head={say("deaths.none")} what={say("deaths.noneDo")} />
        <Notes all={list.notes} />
      </>
    );
  }
  return (
    <>
      <p class="soft">{count === 1 ? say("deaths.one") : say("deaths.count", { n: count })}</p>
      {rows.length === 0 && <p class="soft">{say("deaths.noMatch")}</p>}
      <ol class="entries">
        {rows.slice(0, DRAWN).map((row) => (
          <li key={row.id}>
            <Row row={row} />
          </li>
        ))}
      </ol>
      <Notes all={list.notes} />
    </>
  );
}

function Notes({ all }: { all: string[] }) {
  return (
    <>
      {all.map((note) => (
        <p key={note} class="soft said">
          <Own text={note} />
        </p>
      ))}
    </>
  );
}

/** By what is shown, in either language, and by the code of the cause. */
export function matches(row: DeathRow, wanted: string, say: Say): boolean {
  const text = [row.name, row.owner, row.cause, causeName(say, row.cause), row.pid, row.signal, row.summary].join(" ").toLowerCase();
  return wanted
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

function Row({ row }: { row: DeathRow }) {
  const say = useSay();
  const tell = useTell();
  const told = tell && rowTold(tell, row);
  const at = Date.parse(row.time);
  const owner = row.owner === null ? null : ownerNamed(row.owner);
  return (
    <div class="death-row">
      <span class="mono soft" title={utc(at)}>
        {clock(at, Date.now())}
      </span>
      <strong>
        <a class="whole-row" href={link("deaths", row.id)}>
          {plain(row.name ?? row.owner ?? "–")}
        </a>{" "}
        {row.pid !== null && <span class="soft">{row.pid}</span>}
        {owner && (
          <a class="of mono" href={ownerLink(owner, aroundDeath(at))}>
            {short(row.owner ?? "")}
          </a>
        )}
      </strong>
      <span class="soft wide-only" title={row.cause}>
        {causeName(say, row.cause)}
      </span>
      <span class="wide-only amount">{row.held_bytes === null ? "" : bytes(row.held_bytes)}</span>
      <span class="said">{told ?? <Own text={row.summary} />}</span>
      {told && <Original text={row.summary} />}
    </div>
  );
}
