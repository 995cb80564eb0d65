// What the recorder says by itself: how far it has come (/api/highwater/v1/stream).

/** How often something was added to the recording. */
export interface Counts {
  samples: number;
  events: number;
  alerts: number;
}

/** Told of news; `isSeen`: the page is looked at again. */
type Listener = (isSeen: boolean) => void;

/** Where nobody can be followed now, it is tried again after this. */
const AGAIN_MS = 60_000;

/** A browser has six connections to a server for all its pages: so many of them may be kept for good. */
const SEATS = 3;

class Following {
  /** How far the recording is; null while nobody says so. */
  counts: Counts | null = null;
  /** Nothing will be added any more. */
  isStill = false;

  private readonly listeners = new Set<Listener>();
  private source: EventSource | null = null;
  private leaveSeat: (() => void) | null = null;
  private isOpening = false;
  private timer = 0;

  constructor() {
    if (typeof document === "undefined") return;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.close();
      else void this.open().then(() => this.tell(true));
    });
  }

  /** Is told of news from now on, until the function that this gives is called. */
  join(listener: Listener): () => void {
    this.listeners.add(listener);
    void this.open();
    return () => this.listeners.delete(listener);
  }

  private async open(): Promise<void> {
    window.clearTimeout(this.timer);
    if (this.source || this.isOpening || this.isStill || document.hidden) return;
    this.isOpening = true;
    const leave = await seat();
    this.isOpening = false;
    if (this.source || document.hidden || leave === null) {
      leave?.();
      this.later();
      return;
    }
    this.leaveSeat = leave;
    const source = new EventSource("/api/highwater/v1/stream");
    this.source = source;
    source.addEventListener("progress", ({ data }) => this.come(read(String(data))));
    source.addEventListener("still", () => {
      this.isStill = true;
      this.close();
      this.tell(false);
    });
    // It comes back by itself, unless it was refused.
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) {
        this.close();
        this.later();
      }
      this.come(null);
    });
  }

  private close(): void {
    this.source?.close();
    this.leaveSeat?.();
    this.source = null;
    this.leaveSeat = null;
    this.counts = null;
    this.show();
  }

  private later(): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.open(), AGAIN_MS);
  }

  private come(counts: Counts | null): void {
    if (counts === null && this.counts === null) return;
    this.counts = counts;
    this.tell(false);
  }

  private tell(isSeen: boolean): void {
    this.show();
    for (const listener of [...this.listeners]) listener(isSeen);
  }

  /** Whoever tests the page sees how it is kept up to date. */
  private show(): void {
    document.documentElement.dataset["follows"] = this.isStill ? "nothing" : this.counts ? "stream" : "clock";
  }
}

/** A place among those that keep a connection, as what gives it back; null if there is none. */
async function seat(): Promise<(() => void) | null> {
  // Only where the address is trusted; elsewhere nobody counts.
  if (!("locks" in navigator)) return () => {};
  for (let place = 1; place <= SEATS; place += 1) {
    const leave = await take(`highwater-stream-${place}`);
    if (leave) return leave;
  }
  return null;
}

const take = (name: string): Promise<(() => void) | null> =>
  new Promise((told) => {
    const held = (lock: Lock | null): Promise<void> | null => {
      if (lock) return new Promise((leave) => told(() => leave()));
      told(null);
      return null;
    };
    navigator.locks.request(name, { ifAvailable: true }, held).catch(() => told(null));
  });

/** What a message says; null if that is not understood. */
export function read(data: string): Counts | null {
  try {
    const { samples, events, alerts } = JSON.parse(data) as Partial<Counts>;
    const all = [samples, events, alerts];
    return all.every((count) => typeof count === "number") ? ({ samples, events, alerts } as Counts) : null;
  } catch {
    return null;
  }
}

export const following = new Following();
