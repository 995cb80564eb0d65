import { useEffect, useRef } from "preact/hooks";

import { VIEWS } from "../route";
import { useSay, type Word } from "../words";

const KEYS: [string, Word][] = [
  [`1 – ${VIEWS.length}`, "keys.views"],
  ["← →", "keys.step"],
  ["+ −", "keys.zoom"],
  ["[ ]", "keys.jump"],
  ["l", "keys.live"],
  ["?", "keys.help"],
];

/** The keys that the page knows. */
export function Keys({ close }: { close: () => void }) {
  const say = useSay();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={close} aria-label={say("page.keys")}>
      <h2>{say("page.keys")}</h2>
      <dl>
        {KEYS.map(([key, word]) => (
          <>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{say(word)}</dd>
          </>
        ))}
      </dl>
      <p class="soft">
        <a href="/assets/notices.txt">{say("page.notices")}</a>
      </p>
      <button class="plainly" type="button" onClick={() => dialog.current?.close()}>
        {say("page.keysClose")}
      </button>
    </dialog>
  );
}
