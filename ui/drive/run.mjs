// Drives a running agent's page in a real browser: node drive/run.mjs URL HOSTILE
//
// One line for each statement, `ok` or `FAIL`, a tab, the statement, a tab, what was seen. HOSTILE is the
// name of a process that runs, made to be mistaken for markup.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { firstView } from "./pace.mjs";
import { NARROW, open, settled, start, visit, WIDE } from "./browser.mjs";
import { tooWide, wider } from "./fits.mjs";
import { ownerAt, reached, saved, stormed, told } from "./owner.mjs";

const [base, hostile = ""] = process.argv.slice(2);
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const api = async (path) => (await fetch(`${base}${path}`)).json();

function insist(holds, seen) {
  if (!holds) throw new Error(seen);
}

async function check(statement, act) {
  try {
    console.log(`ok\t${statement}\t${await act()}`);
  } catch (error) {
    console.log(`FAIL\t${statement}\t${String(error.message).split("\n")[0]}`);
  }
}

const browser = await start();
const { deaths } = await api("/api/highwater/v1/deaths");
const killed = deaths.find(({ cause, name }) => cause === "kernel-oom-memcg" && name === "shop");
const growth = await api("/api/highwater/v1/growth");
const grower = growth.items.find((item) => ["leak", "growing"].includes(item.verdict) && item.rate_bytes_per_hour > 0);
const at = killed ? Date.parse(killed.time) : Date.now();
const VIEWS = {
  now: "#/now",
  time: `#/time?from=${at - 60_000}&to=${at + 30_000}&at=${at - 1000}`,
  deaths: "#/deaths",
  death: `#/deaths/${killed?.id}`,
  growth: "#/growth",
  alerts: "#/alerts?last=900",
  backtest: "#/alerts/backtest?last=86400&rule=CreepHolds",
  explore: "#/explore?q=node_memory_MemTotal_bytes&as=table",
  owner: ownerAt({ kind: "cgroup", id: killed?.owner ?? "/" }, at),
};

const { page, faults, context } = await open(browser, base);
const text = (selector) => page.locator(selector).innerText();

await check("the verdict is the API's", async () => {
  await visit(page, base, VIEWS.now);
  const answer = page.waitForResponse((response) => response.url().endsWith("/api/highwater/v1/now"));
  const now = await (await answer).json();
  await settled(page);
  const told = now.urgent.filter(({ severity }) => ["warning", "critical"].includes(severity)).length;
  const expected = told === 0 ? /Nothing|Not all/ : new RegExp(`^${told} thing`);
  const said = await text(".verdict h1");
  insist(expected.test(said), `${told} findings, and the page says: ${said}`);
  return said;
});

await check("the numbers of the bar are the API's, and come to all memory", async () => {
  await visit(page, base, `#/time?from=${at - 60_000}&to=${at + 30_000}&at=${at - 1000}`);
  const kinds = await page.$$eval("dd[data-kind]", (all) => all.map((dd) => [dd.dataset.kind, Number(dd.dataset.bytes)]));
  const ask = async (expr) => {
    const { data } = await api(`/api/v1/query?query=${encodeURIComponent(expr)}&time=${(at - 1000) / 1000}`);
    return Number(data.result[0].value[1]);
  };
  const of = Object.fromEntries(kinds);
  const [anon, free, all] = await Promise.all(["AnonPages", "MemFree", "MemTotal"].map((name) => ask(`node_memory_${name}_bytes`)));
  insist(of.anon === anon && of.free === free, `${of.anon} and ${of.free}, not ${anon} and ${free}`);
  const sum = kinds.reduce((sum, [, bytes]) => sum + bytes, 0);
  insist(sum === all, `${sum}, not ${all}`);
  return `${kinds.length} kinds, ${all} bytes`;
});

await check("the death that the kernel made is listed, and its page says the same sentence", async () => {
  insist(killed, "no OOM kill is on record");
  await visit(page, base, VIEWS.deaths);
  await page.locator(`a[href="#/deaths/${killed.id}"]`).click();
  await settled(page);
  const { summary, claims } = await api(`/api/highwater/v1/deaths/${killed.id}`);
  const said = await text("h1.sentence");
  insist(said === summary, said);
  const shown = await page.locator(".claims > li").count();
  insist(shown >= claims.length, `${shown} of ${claims.length} claims`);
  return said;
});

await check("evidence opens to the kernel's line, and a series' evidence lands on its span", async () => {
  await visit(page, base, VIEWS.death);
  const first = page.locator(".claims details.evidence").first();
  await first.locator("summary").click();
  insist((await first.innerText()).includes("oom"), await first.innerText());
  await page.$$eval("details.evidence", (all) => all.forEach((one) => (one.open = true)));
  const way = page.locator('details.evidence a[href*="explore"]').first();
  const told = new URLSearchParams((await way.getAttribute("href")).split("?")[1]);
  await way.click();
  await settled(page);
  const [from, to] = ["mf", "mt"].map((name) => Number(told.get(name)));
  insist(from > 0 && from <= at && to <= at + 5000, `${from} to ${to}, of a death at ${at}`);
  insist((await page.locator(".plot canvas").count()) === 1, "no chart is drawn");
  return told.get("q");
});

await check("a drag zooms, a key steps, jumps and follows", async () => {
  await visit(page, base, `#/time?from=${at - 600_000}&to=${at + 60_000}`);
  const over = await page.locator(".u-over").first().boundingBox();
  await page.mouse.move(over.x + over.width * 0.4, over.y + 40);
  await page.mouse.down();
  await page.mouse.move(over.x + over.width * 0.6, over.y + 40, { steps: 5 });
  await page.mouse.up();
  await settled(page);
  const span = () => page.evaluate(() => Object.fromEntries(new URLSearchParams(location.hash.split("?")[1])));
  const zoomed = await span();
  const wide = Number(zoomed.to) - Number(zoomed.from);
  insist(Math.abs(wide - 132_000) < 8_000, `a fifth of 660 s became ${wide / 1000} s`);
  await visit(page, base, `#/time?from=${at - 60_000}&to=${at + 60_000}&at=${at + 30_000}`);
  await page.keyboard.press("ArrowLeft");
  await settled(page);
  insist(Number((await span()).at) < at + 30_000, "no step back");
  await page.keyboard.press("[");
  await settled(page);
  const jumped = Number((await span()).at);
  insist(jumped < at + 30_000, "no jump");
  await page.keyboard.press("l");
  await settled(page);
  insist((await span()).last !== undefined, "it does not follow");
  return `zoomed to ${Math.round(wide / 1000)} s, jumped to ${new Date(jumped).toISOString()}`;
});

await check("what grows is shown with its rate and its limit", async () => {
  insist(grower, "nothing grows on record");
  await visit(page, base, VIEWS.growth);
  const shown = await page.locator(".grower").allInnerTexts();
  insist(shown.some((text) => text.includes(grower.owner.name)), `${grower.owner.name} is not among ${shown.length}`);
  return grower.owner.name;
});

await check("an owner's name leads to it from every view", () => reached(page, base, VIEWS, insist));

await check("an owner is shown through its lives, with the API's numbers", () => told(page, base, api, killed, at, insist));

await check("a restart storm is told where its owner is shown, and each restart on the axis", () => stormed(page, base, api, insist));

await check("a chart is saved as a drawing that stands alone, as dots and as a table", async () => {
  const seen = [];
  for (const view of ["owner", "death", "time"]) seen.push(`${view}: ${await saved(browser, base, VIEWS[view], insist)}`);
  return seen.join("; ");
});

await check("an alert that fires comes with its sentence and the API's value", async () => {
  const told = [];
  const heard = (response) => response.url().endsWith("/api/v1/rules") && told.push(response.json());
  page.on("response", heard);
  await visit(page, base, VIEWS.now);
  await visit(page, base, VIEWS.alerts);
  const shown = await page.$$eval("[data-alert]", (all) =>
    all.map((one) => ({ name: one.dataset.alert, state: one.dataset.state, text: one.innerText, value: one.querySelector("[data-value]").dataset.value })),
  );
  page.off("response", heard);
  const fires = shown.find(({ name, state }) => name === "CreepHolds" && state === "firing");
  insist(fires, `CreepHolds does not fire among ${shown.length}`);
  // Something may have changed on the way: what is shown is one of the answers.
  const answers = (await Promise.all(told)).map(({ data }) => data.groups.flatMap(({ rules }) => rules.flatMap((rule) => rule.alerts ?? [])));
  const one = answers.find((alerts) => alerts.some(({ labels, value }) => labels.alertname === "CreepHolds" && Number(value) === Number(fires.value)));
  insist(one, `${fires.value} is of none of ${answers.length} answers`);
  insist(one.length === shown.length, `${shown.length} of ${one.length} alerts`);
  const { annotations } = one.find(({ labels }) => labels.alertname === "CreepHolds");
  insist(fires.text.includes(annotations.summary), fires.text);
  const states = shown.map(({ state }) => state);
  insist(states.join() === [...states].sort().join(), `not those that fire first: ${states}`);
  return annotations.summary;
});

await check("when it fired is drawn, and a click leads to that moment", async () => {
  await visit(page, base, VIEWS.alerts);
  const track = page.locator(".tracks li", { hasText: "CreepHolds" }).locator(".track");
  await track.scrollIntoViewIfNeeded();
  const fired = await track.locator(".is-firing").last().boundingBox();
  insist(fired.width > 0, "nothing is drawn");
  const span = await track.boundingBox();
  await page.mouse.click(fired.x + fired.width / 2, span.y + span.height / 2);
  await page.waitForFunction(() => location.hash.startsWith("#/time"));
  await settled(page);
  const told = Number(await page.evaluate(() => new URLSearchParams(location.hash.split("?")[1]).get("at")));
  const meant = Date.now() - 900_000 * (1 - (fired.x + fired.width / 2 - span.x) / span.width);
  insist(Math.abs(told - meant) < 60_000, `${new Date(told).toISOString()}, and not about ${new Date(meant).toISOString()}`);
  return new Date(told).toISOString();
});

// A backtest looks each 15 s: at the second look the alert fires there, too.
const TWO_LOOKS_MS = 35_000;

await check("a backtest is drawn as its document tells it", async () => {
  const { data } = await (await fetch(`${base}/api/v1/alerts`)).json();
  const since = Date.parse(data.alerts.find(({ labels }) => labels.alertname === "CreepHolds").activeAt);
  await page.waitForTimeout(Math.max(0, since + TWO_LOOKS_MS - Date.now()));
  const answer = page.waitForResponse((response) => response.url().includes("/v1/backtest") && response.ok(), { timeout: 120_000 });
  await visit(page, base, VIEWS.backtest);
  const told = await (await answer).json();
  await page.locator(".picture canvas").waitFor({ timeout: 60_000 });
  await settled(page);
  const rule = told.rules.find(({ alert }) => alert === "CreepHolds");
  insist(rule.fired && rule.conditions[0].bound === "20000000", JSON.stringify(rule.conditions));
  const fired = told.rules.filter(({ fired }) => fired).length;
  insist((await page.locator(".tracks > ul > li").count()) === fired, "not every rule that fired has its line");
  const listed = await page.locator(".incident").count();
  insist(listed === Math.min(20, told.incidents.length), `${listed} of ${told.incidents.length} incidents`);
  const leads = told.incidents.flatMap(({ warned }) => warned.map(({ lead_seconds: lead }) => lead)).filter((lead) => lead !== null);
  const shown = await page.$$eval("[data-lead]", (all) => all.map(({ dataset }) => dataset.lead).filter((lead) => lead !== ""));
  insist(shown.every((lead) => leads.includes(Number(lead))), `${shown}: not of the document`);
  return `${told.rules.length} rules, ${fired} fired, ${told.incidents.length} incidents`;
});

await check("a rule that is typed is tried, and one that is wrong is told why", async () => {
  await visit(page, base, VIEWS.backtest);
  await page.locator(".typed summary").click();
  const field = page.locator(".typed textarea");
  const answered = () => page.waitForResponse((response) => response.url().includes("expr=") && response.status() !== 503, { timeout: 120_000 });
  const told = answered();
  await field.fill("node_memory_MemTotal_bytes > 1");
  await field.press("Control+Enter");
  insist((await told).ok(), "it is not told");
  await page.locator(".picture canvas").waitFor({ timeout: 60_000 });
  const said = await text(".picture .tag");
  const wrong = answered();
  await field.fill("up ==");
  await field.press("Control+Enter");
  const { error } = await (await wrong).json();
  await page.getByRole("alert").waitFor();
  insist((await page.getByRole("alert").innerText()).includes(error), error);
  return `${said}; and: ${error}`;
});

await check("a question is completed, asked and answered with the API's number", async () => {
  await visit(page, base, "#/explore?as=table");
  const field = page.locator("textarea");
  await field.pressSequentially("node_memory_MemTot");
  await page.locator(".offers li").first().waitFor();
  await field.press("Tab");
  await field.press("Enter");
  await page.locator("td[data-value]").first().waitFor();
  const { data } = await api("/api/v1/query?query=node_memory_MemTotal_bytes");
  const shown = await page.locator("td[data-value]").first().getAttribute("data-value");
  insist(shown === String(Number(data.result[0].value[1])), shown);
  await field.fill("sum(");
  await field.press("Control+Enter");
  await page.getByRole("alert").waitFor();
  return `${shown}; and an error says so: ${(await page.getByRole("alert").innerText()).split("\n")[0]}`;
});

await check("live mode brings new readings by itself, when the recorder says that there are some", async () => {
  await visit(page, base, VIEWS.now);
  await page.waitForFunction(() => document.documentElement.dataset.follows === "stream");
  const told = async (response) => (response.url().endsWith("/api/highwater/v1/now") ? (await response.json()).time : "");
  const seen = (after) => page.waitForResponse(async (response) => (await told(response)) > after, { timeout: 30_000 });
  const first = await told(await seen(""));
  const second = await told(await seen(first));
  return `${first} and then ${second}`;
});

await check("a process that dies now stands in the open list by itself", async () => {
  await visit(page, base, VIEWS.deaths);
  await page.waitForFunction(() => document.documentElement.dataset.follows === "stream");
  const before = await page.locator('a[href^="#/deaths/"]').count();
  let asked = 0;
  const count = (request) => (asked += request.url().endsWith("/api/highwater/v1/deaths") ? 1 : 0);
  page.on("request", count);
  console.log("please\tkill");
  await page.waitForFunction((before) => document.querySelectorAll('main a[href^="#/deaths/"]').length > before, before, { timeout: 60_000 });
  page.off("request", count);
  const shown = await page.locator('main a[href^="#/deaths/"]').count();
  return `${before} and then ${shown}, asked for ${asked} times`;
});

await check("a name made of markup is text", async () => {
  await visit(page, base, VIEWS.now);
  const expr = `highwater_process_resident_anon_bytes{comm=~".*[<].*"}`;
  await visit(page, base, `#/explore?as=table&q=${encodeURIComponent(expr)}`);
  const shown = await page.locator("table").innerText();
  insist(hostile !== "" && shown.includes(hostile), shown);
  insist((await page.locator("main img, main b, main script").count()) === 0, "it became markup");
  return hostile;
});

await check("no console error, and no request to anywhere else", async () => {
  // A query that is wrong is answered by 400, which a browser notes.
  const others = faults.filter((fault) => !fault.includes("status of 400"));
  insist(others.length === 0, others.join("; "));
  return `${faults.length - others.length} errors that were asked for`;
});
await context.close();

const LOOKS = [
  { viewport: WIDE, theme: "light", language: "en" },
  { viewport: WIDE, theme: "dark", language: "zh" },
  { viewport: NARROW, theme: "light", language: "zh" },
  { viewport: { width: 360, height: 740 }, theme: "dark", language: "en" },
];
for (const look of LOOKS) {
  const name = `${look.viewport.width} px, ${look.theme}, ${look.language}`;
  await check(`every view fits and can be used by all: ${name}`, async () => {
    const { page, context, faults } = await open(browser, base, look);
    const found = [];
    for (const [view, hash] of Object.entries(VIEWS)) {
      await visit(page, base, hash);
      const { by, what } = await wider(page);
      if (by > 0) found.push(`${view} is ${by} px too wide: ${what}`);
      // Not by a script of the page: its policy would not let it run.
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => axe.run());
      found.push(...violations.map(({ id, nodes }) => `${view}: ${id}: ${nodes[0].html.slice(0, 120)}`));
    }
    await context.close();
    insist(found.length + faults.length === 0, [...found, ...faults].join("; "));
    return `${Object.keys(VIEWS).length} views`;
  });
}

await check("in Chinese a death and what needs somebody are told in Chinese, with the recorder's own words below", async () => {
  const { page, context } = await open(browser, base, { viewport: WIDE, language: "zh" });
  await visit(page, base, VIEWS.death);
  const { summary } = await api(`/api/highwater/v1/deaths/${killed.id}`);
  const head = await page.locator("h1.sentence").innerText();
  insist(/shop.*被内核杀死/.test(head), head);
  const below = await page.locator('.original [lang="en"]').first().innerText();
  insist(below === summary, below);
  await visit(page, base, VIEWS.now);
  const found = await page.locator(".findings li .said:not(.original)").allInnerTexts();
  insist(found.length > 0 && found.every((text) => /\p{Script=Han}.*。/u.test(text)), found.join("; "));
  await context.close();
  return head;
});

await check("no view can be moved sideways, however long names and sentences are", async () => {
  const widths = [360, NARROW.width, WIDE.width];
  const found = [];
  for (const width of widths) found.push(...(await tooWide(browser, base, VIEWS, { width, height: 800 })).map((one) => `${width} px: ${one}`));
  insist(found.length === 0, found.join("; "));
  return `${widths.join(", ")} px`;
});

await check("a server that is gone is said to be gone, and what was known stays", async () => {
  const { page, context } = await open(browser, base);
  await visit(page, base, VIEWS.now);
  await context.setOffline(true);
  await page.locator(".notice.is-stale").first().waitFor({ timeout: 20_000 });
  insist((await page.locator(".verdict h1").count()) === 1, "the verdict is gone");
  const said = await page.locator(".notice.is-stale").first().innerText();
  await context.close();
  return said;
});

await check("the first view is usable at once", async () => {
  const { memory, verdict } = await firstView(browser, base, 5);
  return `memory is drawn after ${memory} ms, the verdict stands after ${verdict} ms, of five the median`;
});

await browser.close();
