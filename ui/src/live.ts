// Answers that are asked for again and again, as long as somebody looks.

import { useEffect, useRef, useState } from "preact/hooks";

import { Fault } from "./api";

export interface Live<T> {
  /** The newest answer, also while nobody answers any more. */
  value: T | null;
  /** When that came, in milliseconds. */
  at: number | null;
  /** Why there is no newer one. */
  fault: Fault | null;
}

/** After a failure it is tried again after this, whatever the pace. */
const RETRY_MS = 5_000;

/** Asks at once, whenever `key` changes, and every `everyMs`; not while the page is hidden. */
export function useLive<T>(key: string, everyMs: number | null, ask: (signal: AbortSignal) => Promise<T>): Live<T> {
  const [live, setLive] = useState<Live<T>>({ value: null, at: null, fault: null });
  const asked = useRef(ask);
  asked.current = ask;
  useEffect(() => {
    const ended = new AbortController();
    let timer = 0;
    const look = async (): Promise<void> => {
      let pause = everyMs;
      try {
        if (!document.hidden) {
          const value = await asked.current(ended.signal);
          if (ended.signal.aborted) return;
          setLive({ value, at: Date.now(), fault: null });
        }
      } catch (error) {
        if (ended.signal.aborted) return;
        const fault = error instanceof Fault ? error : new Fault("broken", String(error));
        setLive((last) => ({ ...last, fault }));
        const isFinal = fault.trouble === "wrong" || fault.trouble === "absent";
        pause = isFinal ? everyMs : RETRY_MS;
      }
      if (pause !== null) timer = window.setTimeout(() => void look(), pause);
    };
    void look();
    const seen = (): void => {
      if (document.hidden || everyMs === null) return;
      window.clearTimeout(timer);
      void look();
    };
    document.addEventListener("visibilitychange", seen);
    return () => {
      ended.abort();
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [key, everyMs]);
  return live;
}

/** The present moment, anew every `everyMs`; it stands still for `null`. */
export function useNow(everyMs: number | null): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (everyMs === null) return;
    setNow(Date.now());
    const timer = setInterval(() => {
      if (!document.hidden) setNow(Date.now());
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
