// Looks for names that were made to be mistaken for something else: node drive/hostile.mjs URL NAMES
//
// NAMES: a list in JSON of names as they have to be written. One line for each statement, as run.mjs.

import { open, settled, start, visit, NARROW, WIDE } from "./browser.mjs";
import { ownerAt } from "./owner.mjs";

const [base, given = "[]"] = process.argv.slice(2);
const names = JSON.parse(given);

/** What hides text, turns it or moves a terminal; a table's cells are parted by tabs and ends of lines. */
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/u;

async function check(statement, act) {
  try {
    console.log(`ok\t${statement}\t${await act()}`);
  } catch (error) {
    console.log(`FAIL\t${statement}\t${JSON.stringify(String(error.message).split("\n")[0])}`);
  }
}

function insist(holds, seen) {
  if (!holds) throw new Error(seen);
}

/** An answer as bytes that have to be UTF-8, and JSON without anything but text. */
async function answer(path) {
  const response = await fetch(`${base}${path}`);
  const text = new TextDecoder("utf-8", { fatal: true }).decode(await response.arrayBuffer());
  const hidden = UNSAFE.exec(text);
  insist(hidden === null, `${path} has U+${hidden?.[0].codePointAt(0).toString(16)}`);
  return JSON.parse(text);
}

const v1 = "/api/highwater/v1";
const { deaths } = await answer(`${v1}/deaths`);
const killed = deaths.find(({ cause, name }) => cause.startsWith("kernel-oom") && name.startsWith("<u>"));
const at = Date.parse(killed.time);

await check("every answer is JSON in UTF-8, and its texts are nothing but text", async () => {
  const described = Object.keys((await answer(`${v1}/openapi.json`)).paths);
  const paths = described.filter((path) => !path.includes("{") && !path.endsWith("/stream"));
  const asked = [
    ...paths,
    `${v1}/deaths/${killed.id}`,
    "/api/v1/labels",
    "/api/v1/label/id/values",
    "/api/v1/label/comm/values",
    "/api/v1/series?match[]=highwater_owner_resident_anon_bytes",
    "/api/v1/query?query=container_memory_usage_bytes",
    "/api/v1/query?query=highwater_process_resident_anon_bytes",
    "/api/v1/metadata",
    "/api/v1/rules",
    "/api/v1/alerts",
    "/api/v1/status/tsdb",
  ];
  for (const path of asked) await answer(path);
  return `${asked.length} answers`;
});

await check("each name is on record, written out", async () => {
  const labels = ["id", "comm"].map((name) => answer(`/api/v1/label/${name}/values`));
  const all = (await Promise.all(labels)).flatMap(({ data }) => data).concat(deaths.map(({ name }) => name ?? ""));
  const missing = names.filter((name) => !all.some((known) => known.includes(name)));
  insist(missing.length === 0, missing.join(" and "));
  return `${names.length} names among ${all.length}`;
});

/** What is wrong with a page that is shown now. */
function faults(unsafe) {
  const found = [];
  const hidden = new RegExp(unsafe, "u");
  const texts = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    if (hidden.test(node.data)) found.push(`text ${JSON.stringify(node.data.slice(0, 60))}`);
  }
  for (const element of document.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      if (hidden.test(value)) found.push(`${element.tagName} ${name} ${JSON.stringify(value.slice(0, 60))}`);
      if (name.startsWith("on")) found.push(`${element.tagName} has ${name}`);
    }
    const { direction, unicodeBidi } = getComputedStyle(element);
    if (direction !== "ltr" || unicodeBidi === "bidi-override") found.push(`${element.tagName} is turned`);
  }
  for (const made of document.querySelectorAll("u, img:not(.brand img), script:not([src]), iframe")) found.push(`${made.tagName} was made`);
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) found.push(`${wide} px too wide`);
  if (!document.title.endsWith("· highwater")) found.push(`the title is ${document.title}`);
  return found;
}

/** Every view that the page has, and those that only a link leads to. */
async function views(page) {
  await visit(page, base, "#/now");
  const led = await page.$$eval("header nav a", (all) => all.map((a) => a.getAttribute("href")));
  const table = (expr) => `#/explore?as=table&q=${encodeURIComponent(expr)}`;
  const ours = '{id=~".*highwater-hostile.*"}';
  const { data: ids } = await answer("/api/v1/label/id/values");
  const owners = ids.filter((id) => names.some((name) => id.includes(name))).slice(0, 4);
  return [
    ...led,
    ...owners.map((id) => ownerAt({ kind: "cgroup", id }, at)),
    `#/time?from=${at - 60_000}&to=${at + 30_000}&at=${at - 1000}`,
    `#/deaths/${killed.id}`,
    table(`container_memory_usage_bytes${ours}`),
    table(`highwater_process_resident_anon_bytes${ours}`),
    `#/explore?last=300&q=${encodeURIComponent(`container_memory_usage_bytes${ours}`)}`,
  ];
}

const browser = await start();
for (const viewport of [WIDE, NARROW]) {
  await check(`no view makes anything of a name but text: ${viewport.width} px`, async () => {
    const { page, context, faults: noted } = await open(browser, base, { viewport });
    page.on("dialog", (dialog) => noted.push(`a dialog: ${dialog.message()}`));
    const all = await views(page);
    const found = [];
    const seen = new Set();
    for (const hash of all) {
      await visit(page, base, hash);
      await page.$$eval("details", (all) => all.forEach((one) => (one.open = true)));
      await settled(page);
      found.push(...(await page.evaluate(faults, UNSAFE.source)).map((fault) => `${hash}: ${fault}`));
      const text = await page.evaluate(() => document.body.textContent);
      names.filter((name) => text.includes(name)).forEach((name) => seen.add(name));
    }
    await context.close();
    insist(found.length + noted.length === 0, [...found, ...noted].slice(0, 6).join("; "));
    insist(seen.size === names.length, `only ${[...seen].join(" and ")} are shown`);
    return `${all.length} views, ${seen.size} names`;
  });
}

await check("the killed one is told by its name, written out", async () => {
  const { summary } = await answer(`${v1}/deaths/${killed.id}`);
  insist(summary.includes("<u>") && summary.includes("\\x1b[7m"), summary);
  const { page, context } = await open(browser, base);
  await visit(page, base, `#/deaths/${killed.id}`);
  const said = await page.locator("h1.sentence").innerText();
  await context.close();
  insist(said === summary, said);
  return summary;
});
await browser.close();
