// Measures the page: node drive/bench.mjs AGENT PID HISTORY SECONDS
//
// AGENT is the address of an agent whose process is PID and whose history begins with a month of 2,000
// series, HISTORY that of such a month alone. One line for each figure: its name, a tab, the figure, a tab,
// what was promised.

import { readFileSync } from "node:fs";
import { get } from "node:http";

import { open, start, visit } from "./browser.mjs";
import { firstCurve, firstView, zoom } from "./pace.mjs";

const [agent, pid, history, lasts = "60"] = process.argv.slice(2);

/** What a minute of twenty pages is measured with: views as people leave them open. */
const PAGES = 20;
const LEFT_OPEN = ["#/now", "#/now", "#/now", "#/time?last=3600", "#/deaths"];

const tell = (name, figure, most) => console.log(`${name}\t${figure}\t${most}`);
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

/** The bytes of an answer as they are sent, packed. */
const sent = (path) =>
  new Promise((told, failed) => {
    const headers = { accept: "text/html", "accept-encoding": "gzip" };
    get(`${agent}${path}`, { headers }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part)).on("end", () => told(Buffer.concat(parts)));
    }).on("error", failed);
  });

/** Seconds of a processor that the agent has had, with what its children had. */
function used() {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  const ticks = [11, 12, 13, 14].reduce((sum, place) => sum + Number(fields[place]), 0);
  return ticks / 100;
}

/** Its share of a processor, in percent, over the next seconds. */
async function share(seconds) {
  const [before, begun] = [used(), performance.now()];
  await pause(seconds);
  return ((used() - before) / (performance.now() - begun)) * 100_000;
}

/** Waits until an agent that has just been given a month has done with it what it does with any. */
async function calm() {
  const [SETTLED, LOOKS] = [1, 24];
  for (let look = 0; look < LOOKS; look += 1) if ((await share(5)) < SETTLED) return;
}

await calm();
const browser = await start();

const { page, context } = await open(browser, agent);
const paths = new Set(["/"]);
page.on("request", (request) => {
  const { pathname } = new URL(request.url());
  if (pathname.startsWith("/assets/")) paths.add(pathname);
});
for (const view of LEFT_OPEN) await visit(page, agent, view);
await context.close();
const weights = await Promise.all([...paths].map(sent));
tell("the page, packed, KiB", (weights.reduce((sum, part) => sum + part.length, 0) / 1024).toFixed(1), 150);

const { memory, verdict } = await firstView(browser, agent, 7);
tell("memory is drawn, of an agent with 30 days of 2,000 series, ms", memory, 300);
tell("the verdict stands, ms", verdict, "");

const newest = JSON.parse(await (await fetch(`${history}/api/v1/status/tsdb`)).text()).data.headStats.maxTime;
const month = `from=${newest - 30 * 86_400_000}&to=${newest}`;
const day = `from=${newest - 86_400_000}&to=${newest}`;
const sum = encodeURIComponent("sum by (namespace) (container_memory_working_set_bytes)");
tell("a day's curve is drawn, of 30 days of 2,000 series, ms", await firstCurve(browser, history, `#/explore?q=${sum}&${day}`, 7), 300);
tell("a month's curve of 200 series is drawn, ms", await firstCurve(browser, history, `#/explore?q=${sum}&${month}`, 3), "");
tell("a zoom in a month is painted, ms", await zoom(browser, history, `#/explore?q=${sum}&${month}`, 7), 100);

const idle = await share(Number(lasts));
const all = [];
for (let n = 0; n < PAGES; n += 1) {
  const one = await open(browser, agent);
  await visit(one.page, agent, LEFT_OPEN[n % LEFT_OPEN.length]);
  all.push(one);
}
await pause(5);
const asked = await share(Number(lasts));
tell("the agent, nobody looking, % of a processor", idle.toFixed(2), "");
tell(`${PAGES} open pages cost the agent, % of a processor`, (asked - idle).toFixed(2), 2);
for (const { context } of all) await context.close();
await browser.close();
