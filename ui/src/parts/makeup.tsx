// Memory by kind as one bar, and what its colours mean.

import { bytes, share } from "../format";

/** A kind of memory, by the name that its colour has everywhere, and how much of it there is. */
export interface Piece {
  kind: string;
  label: string;
  bytes: number;
}

export function Bar({ all, isSlim = false, mark = null }: { all: Piece[]; isSlim?: boolean; mark?: string | null }) {
  return (
    <div class={isSlim ? "whole is-slim" : "whole"} aria-hidden="true">
      <div class="bar">
        {all.map(({ kind, label, bytes }) => (
          <span key={label} class={`kind-${kind}`} style={{ flexGrow: bytes }} />
        ))}
      </div>
      {mark !== null && <i class="water" style={{ right: mark }} />}
    </div>
  );
}

export function Legend({ all, total }: { all: Piece[]; total: number }) {
  return (
    <dl class="legend">
      {all.map((piece) => (
        <div key={piece.label}>
          <dt>
            <i class={`swatch kind-${piece.kind}`} aria-hidden="true" />
            {piece.label}
          </dt>
          <dd data-kind={piece.kind} data-bytes={piece.bytes}>
            {bytes(piece.bytes)}
          </dd>
          <dd class="soft">{share(piece.bytes, total)}</dd>
        </div>
      ))}
    </dl>
  );
}
