// The field for a question, with what the words may go on to.

import { useRef, useState } from "preact/hooks";

import { names } from "../api";
import { offers, taken, type Offer } from "../completion";
import { plain } from "../format";
import { useLive } from "../live";
import { useSay } from "../words";

interface Given {
  text: string;
  write: (text: string) => void;
  send: (text: string) => void;
}

/** The names on record change seldom. */
const NAMES_EVERY_MS = 300_000;

interface Names {
  metrics: string[];
  labels: string[];
}

const NONE: Names = { metrics: [], labels: [] };

async function known(signal: AbortSignal): Promise<Names> {
  const [metrics, labels] = await Promise.all([names("metrics", signal), names("labels", signal)]);
  return { metrics, labels };
}

export function Ask({ text, write, send }: Given) {
  const say = useSay();
  const field = useRef<HTMLTextAreaElement>(null);
  /** Where somebody writes; null while nothing is offered. */
  const [caret, setCaret] = useState<number | null>(null);
  const [chosen, setChosen] = useState(0);
  // A question that came with the address is not kept waiting by names that nobody types.
  const [isTyped, setTyped] = useState(false);
  const all = useLive(`names ${isTyped}`, NAMES_EVERY_MS, async (signal) => (isTyped ? known(signal) : NONE));
  const { metrics, labels } = all.value ?? NONE;
  // Names that come late are offered late.
  const offer: Offer | null = caret === null ? null : offers(text, caret, metrics, labels);
  const look = (area: HTMLTextAreaElement): void => {
    write(area.value);
    setChosen(0);
    setCaret(area.selectionStart);
  };
  const take = (word: string): void => {
    const area = field.current;
    if (!area || !offer) return;
    const next = taken(text, area.selectionStart, offer, word);
    write(next.text);
    setCaret(null);
    area.focus();
    requestAnimationFrame(() => area.setSelectionRange(next.caret, next.caret));
  };
  const pressed = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey || !offer)) {
      event.preventDefault();
      setCaret(null);
      send(text);
      return;
    }
    if (!offer) return;
    const count = offer.words.length;
    const word = offer.words[chosen];
    if (event.key === "ArrowDown") setChosen((chosen + 1) % count);
    else if (event.key === "ArrowUp") setChosen((chosen + count - 1) % count);
    else if (event.key === "Escape") setCaret(null);
    else if ((event.key === "Enter" || event.key === "Tab") && word) take(word);
    else return;
    event.preventDefault();
  };
  return (
    <div class="field">
      <textarea
        ref={field}
        rows={Math.min(6, Math.max(2, text.split("\n").length))}
        spellcheck={false}
        aria-label={say("explore.query")}
        placeholder={say("explore.query")}
        aria-controls="offers"
        aria-autocomplete="list"
        {...(offer ? { "aria-activedescendant": `offer-${chosen}` } : {})}
        value={text}
        onFocus={() => setTyped(true)}
        onInput={(event) => look(event.currentTarget)}
        onKeyDown={pressed}
        onBlur={() => setTimeout(() => setCaret(null), 150)}
      />
      <ul id="offers" class="offers" role="listbox" aria-label={say("explore.query")} hidden={offer === null}>
        {(offer?.words ?? []).map((word, place) => (
          <li key={word} id={`offer-${place}`} role="option" aria-selected={place === chosen} onMouseDown={() => take(word)}>
            {plain(word)}
          </li>
        ))}
      </ul>
    </div>
  );
}
