// A death in a sentence, composed of the values of its document: for a reader whose language the recorder
// does not speak. What is not known is said to be so, or left out; nothing is guessed.

import type { Claim, Death, DeathRow } from "./documents";
import { bytes, plain, share, short } from "./format";
import { called, ownerNamed, ownerOf, type Owner } from "./owner";
import { isSentence, isWord, type Say, type Sentence, type Tell } from "./words";

/** What its headline needs of a death. A key that is missing was not asked for; null is not known. */
interface Told {
  cause: string;
  confidence: string | null;
  comm: string | null;
  pid: number | null;
  owner: Owner | null;
  isFirst: boolean;
  signal: string | null;
  held: number | null;
  code: number | null;
  child: number | null;
  place: string | null;
  limit: number | null;
  limitOf: string | null;
  sender?: { comm: string | null; pid: number | null; owner?: Owner | null } | null | undefined;
}

/** A cause as people call it; one that is newer than this page by its code. */
export function causeName(say: Say, cause: string): string {
  const word = `cause.${cause}`;
  return isWord(word) ? say(word) : plain(cause);
}

/** A sentence, and what goes with it. */
export interface Headline {
  what: string;
  details: string;
}

/** Of a row of the list, which has what it held beside it. */
export function rowTold(tell: Tell, row: DeathRow): string | null {
  const told = headline(tell, {
    ...row,
    comm: row.name,
    owner: row.owner === null ? null : ownerNamed(row.owner),
    isFirst: row.first === true,
    held: null,
    code: null,
    child: null,
    place: row.limit_owner ?? null,
    limit: row.limit_bytes ?? null,
    limitOf: row.limit_of ?? null,
  });
  return told && `${told.what}${told.details}`;
}

/** Of the whole document. */
export function deathTold(tell: Tell, death: Death): Headline | null {
  const { victim, memcg, sender } = death;
  return headline(tell, {
    cause: death.cause,
    confidence: death.confidence,
    comm: victim.comm,
    pid: victim.pid,
    owner: whose(death.owner),
    isFirst: death.first === true,
    signal: death.signal ?? null,
    held: victim.anon_rss_bytes ?? victim.rss_bytes,
    code: death.status?.code ?? null,
    child: death.child ?? null,
    place: memcg?.limit_owner ?? null,
    limit: memcg?.limit_bytes ?? null,
    limitOf: death.limit_of ?? null,
    sender: sender ? { comm: sender.comm, pid: sender.pid, owner: whose(sender.owner) } : null,
  });
}

/** What a claim says that states a reason, by the name of the reason; null of any other claim. */
export function whyTold(tell: Tell, death: Death, claim: Claim): string | null {
  const reason = death.reasons.find(({ text }) => text === claim.text)?.reason;
  const sentence = `why.${reason ?? ""}`;
  return isSentence(sentence) ? tell(sentence) : null;
}

const whose = (owner: Death["owner"] | undefined): Owner | null => (owner ? ownerOf(owner) : null);

/** Null of a cause that this page does not know: the recorder's own sentence has to do. */
function headline(tell: Tell, of: Told): Headline | null {
  const sentence = `died.${of.cause}`;
  if (!isSentence(sentence)) return null;
  const isMemory = MEMORY.has(of.cause);
  const details = isMemory ? held(tell, of) : signalled(tell, of);
  return { what: doubted(tell, of, what(tell, of, sentence, isMemory)), details: details.join("") };
}

/** Those who kill for want of memory. */
const MEMORY = new Set([
  ...["", "-global", "-memcg", "-cpuset", "-mempolicy", "-sysrq"].map((kind) => `kernel-oom${kind}`),
  ...["systemd-oomd", "earlyoom", "nohang", "oomd", "lowmemorykiller"],
]);

function what(tell: Tell, of: Told, sentence: Sentence, isMemory: boolean): string {
  const limit = limitTold(tell, of);
  if (!isMemory || of.child === null) return tell(sentence, { who: who(tell, of), limit });
  return tell("died.child", { who: who(tell, of), child: of.child, why: tell(sentence, { who: tell("who.it"), limit }) });
}

function doubted(tell: Tell, of: Told, what: string): string {
  if (of.cause === "unknown") return what;
  switch (of.confidence) {
    case "likely":
      return tell("died.likely", { what });
    case "possible":
      return tell("died.possible", { what });
    case "unknown":
      return tell("died.doubtful", { what });
    default:
      return what;
  }
}

/** An owner that ended with its first process is named alone; a session or a cgroup has no end of its own. */
function who(tell: Tell, of: { comm: string | null; pid: number | null; owner?: Owner | null; isFirst?: boolean }): string {
  const owner = !of.owner || of.owner.kind === "machine" ? null : short(called(of.owner));
  const hasEnd = !["session", "cgroup", undefined].includes(of.owner?.kind);
  if (owner !== null && of.isFirst && hasEnd) return owner;
  const process = processTold(tell, of);
  if (owner === null) return process ?? tell("who.nobody");
  return process === null ? tell("who.someOf", { owner }) : tell("who.of", { owner, process });
}

function processTold(tell: Tell, { comm, pid }: { comm: string | null; pid: number | null }): string | null {
  if (comm !== null && pid !== null) return tell("who.process", { comm: plain(comm), pid });
  if (comm !== null) return tell("who.comm", { comm: plain(comm) });
  return pid === null ? null : tell("who.pid", { pid });
}

function limitTold(tell: Tell, of: Told): string {
  const whose = of.limitOf === "own" ? "own" : of.place === null ? "some" : of.limitOf === "ancestor" ? "above" : "of";
  const given = { place: short(of.place ?? "") };
  return of.limit === null ? tell(`limit.${whose}Unknown`, given) : tell(`limit.${whose}`, { ...given, limit: bytes(of.limit) });
}

/** What it held, where the kernel printed that: what was charged elsewhere is no part of the limit. */
function held(tell: Tell, { held, limit }: Told): string[] {
  if (held === null) return [];
  if (limit === null || held > limit) return [tell("died.held", { held: bytes(held) })];
  return [tell("died.heldOf", { held: bytes(held), share: share(held, limit) })];
}

/** Those of which one wants to know who did it. */
const SENT = new Set(["signal", "cgroup-kill"]);

function signalled(tell: Tell, of: Told): string[] {
  const details: string[] = [];
  if (of.code !== null) details.push(tell("died.code", { code: of.code }));
  if (of.signal !== null) details.push(tell("died.signalled", { signal: plain(of.signal) }));
  if (of.sender) details.push(tell("died.sender", { sender: who(tell, of.sender) }));
  else if (of.sender === null && SENT.has(of.cause)) details.push(tell("died.senderUnknown"));
  return details;
}
