// Answers that are asked for again, as long as somebody looks: when the recorder says that something
// was added, and now and then where it cannot say so.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import { Fault } from "./api";
import { following, type Counts } from "./stream";

export interface Live<T> {
  /** The newest answer, also while nobody answers any more. */
  value: T | null;
  /** When that came, in milliseconds. */
  at: number | null;
  /** Why there is no newer one. */
  fault: Fault | null;
  /** It answers another question than the one that is asked now. */
  isOld: boolean;
}

/** After a failure it is tried again after this, whatever the pace. */
const RETRY_MS = 5_000;

/** What waits for news is asked for all the same after this: a line may be dead without a word. */
const NET_MS = 60_000;

/** What of a recording an answer depends on. */
export type Topic = keyof Counts;

/**
 * Asks at once, whenever `key` changes, and then again: when something of the topics was added, as far as
 * the recorder says so, else every `everyMs`. Not while the page is hidden.
 */
export function useLive<T>(key: string, everyMs: number | null, ask: (signal: AbortSignal) => Promise<T>, ...on: Topic[]): Live<T> {
  const [live, setLive] = useState<Known<T>>({ key, value: null, at: null, fault: null, faultOf: key });
  const asked = useRef(ask);
  asked.current = ask;
  // Before the first frame is painted: what is asked comes that much earlier.
  useLayoutEffect(() => {
    const round = new Round(everyMs, on, async (signal) => {
      try {
        const value = await asked.current(signal);
        if (!signal.aborted) setLive({ key, value, at: Date.now(), fault: null, faultOf: key });
        return true;
      } catch (error) {
        if (signal.aborted) return true;
        const fault = error instanceof Fault ? error : new Fault("broken", String(error));
        setLive((last) => ({ ...last, fault, faultOf: key }));
        return isOfQuestion(fault);
      }
    });
    return () => round.end();
  }, [key, everyMs]);
  const { value, at, fault } = live;
  const isMeant = fault !== null && (live.faultOf === key || !isOfQuestion(fault));
  return { value, at, fault: isMeant ? fault : null, isOld: value !== null && live.key !== key };
}

/** The newest answer and what is wrong, each with the question that it is of. */
interface Known<T> {
  key: string;
  value: T | null;
  at: number | null;
  fault: Fault | null;
  faultOf: string;
}

/** Asked again it would be the same; another question may be answered. */
const isOfQuestion = ({ trouble }: Fault): boolean => trouble === "wrong" || trouble === "absent";

/** One question, asked again and again until its end. */
class Round {
  private readonly ended = new AbortController();
  private readonly leave: () => void;
  private timer = 0;
  private isAsking = false;
  private hasAsked = false;
  /** How far the recording was when it was asked last; null where nobody said so. */
  private then: Counts | null = null;
  /** When the last answer came, by a clock that nobody sets, and whether it was one. */
  private answeredAt = 0;
  private isFine = true;

  constructor(
    private readonly everyMs: number | null,
    private readonly on: Topic[],
    /** Whether the answer is final, as far as it goes. */
    private readonly ask: (signal: AbortSignal) => Promise<boolean>,
  ) {
    this.leave = everyMs === null ? () => {} : following.join((isSeen) => this.look(isSeen));
    void this.now();
  }

  end(): void {
    this.ended.abort();
    window.clearTimeout(this.timer);
    this.leave();
  }

  /** Something changed: news, the stream itself, or somebody looks again. */
  private look(isSeen: boolean): void {
    if (this.isAsking || document.hidden) return;
    if (isSeen || this.isNews() || this.isLost()) void this.now();
    else this.wait();
  }

  /** Nobody says any more how far it is: whoever recorded may be gone. */
  private isLost(): boolean {
    return this.then !== null && following.counts === null && !following.isStill;
  }

  private isNews(): boolean {
    const { then, on } = this;
    const { counts } = following;
    if (counts === null || on.length === 0) return false;
    // What came between the question and the first word of the stream is not known.
    return then === null || on.some((topic) => counts[topic] !== then[topic]);
  }

  private async now(): Promise<void> {
    window.clearTimeout(this.timer);
    if (document.hidden && this.hasAsked) return;
    this.isAsking = true;
    this.hasAsked = true;
    this.then = following.counts;
    this.isFine = await this.ask(this.ended.signal);
    this.answeredAt = performance.now();
    this.isAsking = false;
    if (this.ended.signal.aborted || this.everyMs === null) return;
    if (this.isFine && this.isNews()) void this.now();
    else this.wait();
  }

  /** Asks again when it is time, counted from the last answer; where news is told, later; where none comes, never. */
  private wait(): void {
    window.clearTimeout(this.timer);
    if (this.everyMs === null) return;
    const isTold = this.on.length > 0 && this.isFine;
    if (isTold && following.isStill) return;
    const pace = this.isFine ? this.everyMs : RETRY_MS;
    const pause = isTold && following.counts !== null ? Math.max(pace, NET_MS) : pace;
    this.timer = window.setTimeout(() => void this.now(), Math.max(0, this.answeredAt + pause - performance.now()));
  }
}

/** The present moment, anew every `everyMs` if there is anything new by then; it stands still for `null`. */
export function useNow(everyMs: number | null): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (everyMs === null) return;
    let then = following.counts?.samples ?? null;
    setNow(Date.now());
    const timer = setInterval(() => {
      const samples = following.counts?.samples ?? null;
      const isNew = samples === null ? !following.isStill : samples !== then;
      if (document.hidden || !isNew) return;
      then = samples;
      setNow(Date.now());
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
