import { expect, it } from "vitest";

import { joined } from "./processes";

const sample = (name: string, pid: string, value: number) => ({ labels: { __name__: name, pid, start: "1", comm: `p${pid}` }, at: 0, value });

it("what is told of a process is one row, the largest first", () => {
  const all = [sample("process_threads", "7", 3), sample("highwater_process_resident_anon_bytes", "7", 10), sample("highwater_process_resident_anon_bytes", "8", 20), sample("up", "8", 1)];
  expect(joined(all)).toEqual([
    { pid: "8", comm: "p8", anon: 20 },
    { pid: "7", comm: "p7", anon: 10, threads: 3 },
  ]);
});
