// What the recorder says in English, and the same in the reader's language where its values allow that:
// its own words stay below, because they are what one quotes.

import { plain } from "../format";
import { useSay } from "../words";

/** The recorder's own sentence, which every reader of a page has to be told is English. */
export function Own({ text }: { text: string }) {
  return <span lang="en">{plain(text)}</span>;
}

/** Below a sentence that was composed of its values. */
export function Original({ text }: { text: string }) {
  const say = useSay();
  return (
    <p class="original said" title={say("told.original")}>
      <Own text={text} />
    </p>
  );
}
