// The signs of what happened: drawn, as not every machine has letters that look like them.

import type { Mark } from "../documents";

const PATHS: Record<Mark["kind"], string> = {
  death: "M3 3l8 8M11 3l-8 8",
  growth: "M3 11l8-8M5.5 3H11v5.5",
  restart: "M11.3 7.6A4.4 4.4 0 1 1 9.9 3.7M10.2 1.2v2.9H7.3",
  boot: "M7 1.6v5M4.2 3.6a4.6 4.6 0 1 0 5.6 0",
  recorder: "M7 3.4a3.6 3.6 0 1 0 0 7.2a3.6 3.6 0 1 0 0-7.2",
};

export const Sign = ({ kind }: { kind: Mark["kind"] }) => (
  <svg class="sign" viewBox="0 0 14 14" aria-hidden="true">
    <path d={PATHS[kind]} />
  </svg>
);
