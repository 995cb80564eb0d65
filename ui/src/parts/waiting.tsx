// What stands where an answer takes its time: what is done, how long that may take, and how long it took so far.

import { useEffect, useState } from "preact/hooks";

import { span } from "../format";
import { useSay } from "../words";

/** So long nobody counts. */
const SOON_S = 2;

export function Waiting({ head, what }: { head: string; what: string }) {
  const say = useSay();
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setSeconds((seconds) => seconds + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  return (
    <p class="notice" role="status" aria-busy="true">
      <strong>{head}</strong>
      <span class="soft">{what}</span>
      {seconds > SOON_S && (
        <span class="soft" aria-hidden="true">
          {" "}
          {say("load.sofar", { span: span(seconds) })}
        </span>
      )}
    </p>
  );
}
