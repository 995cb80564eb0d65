// Statements about an owner's view, and about charts that are saved.

import { readFileSync } from "node:fs";

import { open, settled, visit, WIDE } from "./browser.mjs";

/** The address of an owner's view around a moment. */
export const ownerAt = (owner, at) => `#/owner?${new URLSearchParams({ ...owner, from: at - 300_000, to: at + 60_000, at: at - 1000 })}`;

/** A click on an owner's name leads to it, from each view that names one. */
export async function reached(page, base, views, insist) {
  const ways = { now: "td.name a", time: "td.name a", deaths: ".death-row a.of", death: '.facts a[href^="#/owner"]', growth: ".grower .who a", alerts: '.alert a[href^="#/owner"]' };
  for (const [view, selector] of Object.entries(ways)) {
    await visit(page, base, views[view]);
    const way = page.locator(selector).first();
    await way.waitFor();
    await way.click();
    await settled(page);
    insist(page.url().includes("#/owner?kind="), `${view} leads to ${page.url()}`);
    const name = await page.locator("h1.owner-name").innerText();
    insist(name !== "", `${view} leads to no name`);
  }
  return Object.keys(ways).join(", ");
}

/** What is shown of the one that was killed is what the API says, and its death and its lives are there. */
export async function told(page, base, api, killed, at, insist) {
  const id = killed.owner;
  // From elsewhere: nothing of another moment may still stand there.
  await visit(page, base, "#/deaths");
  await visit(page, base, ownerAt({ kind: "cgroup", id }, at));
  const moment = (at - 1000) / 1000;
  const ask = async (expr) => Number((await api(`/api/v1/query?query=${encodeURIComponent(expr)}&time=${moment}`)).data.result[0].value[1]);
  const parts = Object.fromEntries(await page.$$eval("dd[data-kind]", (all) => all.map((dd) => [dd.dataset.kind, Number(dd.dataset.bytes)])));
  const [anon, usage] = await Promise.all([ask(`container_memory_rss{id="${id}"}`), ask(`container_memory_usage_bytes{id="${id}"}`)]);
  insist(parts.anon === anon, `${parts.anon} anonymous, not ${anon}`);
  const sum = Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);
  insist(sum >= usage, `${sum} in all, not ${usage}`);
  const process = await page.locator("td[data-anon]").first().getAttribute("data-anon");
  const expected = await ask(`max(highwater_process_resident_anon_bytes{id="${id}"})`);
  insist(Number(process) === expected, `its process has ${process}, not ${expected}`);
  insist((await page.locator(`.lane a[href="#/deaths/${killed.id}"]`).count()) === 1, "its death is not on the axis");
  insist((await page.locator(".bands > *").count()) > 0, "no life is on the axis");
  insist((await page.locator(`table a[href="#/deaths/${killed.id}"]`).count()) === 1, "its life does not end with its death");
  const legend = await page.locator(".u-legend").first().innerText();
  insist(/limit/.test(legend), `no limit in ${legend}`);
  await page.keyboard.press("ArrowLeft");
  await settled(page);
  insist(!page.url().includes(`at=${at - 1000}`), "an arrow does not step");
  return `${anon} bytes anonymous of ${usage}`;
}

/** Who ended again and again: the storm, its ends and its restarts stand on the owner's page as the API has them. */
export async function stormed(page, base, api, insist) {
  const { owners } = await api("/api/highwater/v1/restarts");
  const story = owners.find(({ owner, storms }) => owner.id.endsWith("-spin.service") && storms.length > 0);
  insist(story, `no storm among ${owners.length} owners`);
  const { owner, lives, claims, storms } = story;
  const ends = lives.filter(({ ended }) => ended !== null);
  insist(storms[0].ends === ends.length && ends.length >= 4, `${storms[0].ends} ends in the storm, ${ends.length} lives ended`);
  const { events } = await api("/api/highwater/v1/events");
  const again = events.filter(({ kind, text }) => kind === "restart" && text.includes(owner.id));
  insist(again.length >= ends.length - 1, `${again.length} restarts on record`);
  const last = Date.parse(ends.at(-1).ended);
  await visit(page, base, ownerAt({ kind: owner.kind, id: owner.id }, last));
  const said = await page.locator("main").innerText();
  insist(said.includes(claims[0].text), `${claims[0].text}: is not told`);
  const known = await page.$$eval('.panel table a[href^="#/deaths/"]', (all) => new Set(all.map((one) => one.hash)).size);
  insist(known === ends.length, `${known} deaths of ${ends.length} are linked`);
  await visit(page, base, `#/time?from=${last - 120_000}&to=${last + 30_000}&at=${last}`);
  const listed = (await page.locator("main").innerText()).split(`${owner.id} started again`).length - 1;
  insist(listed >= again.length, `${listed} of ${again.length} restarts are in the list of what happened`);
  return claims[0].text;
}

/** Saves the first chart of a view as each kind of file; each is whole, by itself. */
export async function saved(browser, base, hash, insist) {
  const { page, context } = await open(browser, base);
  await visit(page, base, hash);
  await page.locator(".plot canvas").first().waitFor();
  const take = async (kind) => {
    const coming = page.waitForEvent("download");
    await page.locator(".chart").first().hover();
    await page.locator(".chart .tools button", { hasText: kind }).first().click();
    return (await coming).path();
  };
  const drawing = await take("SVG");
  const dots = readFileSync(await take("PNG"));
  insist(dots.subarray(1, 4).toString() === "PNG" && dots.length > 2000, `${dots.length} bytes are no PNG`);
  const table = readFileSync(await take("CSV"), "utf8").trim().split("\n");
  insist(table[0].startsWith("time,") && table.length > 2, table[0]);
  const seen = await alone(browser, readFileSync(drawing, "utf8"), insist);
  await context.close();
  return `${seen}; ${dots.length} bytes of PNG; ${table.length - 1} rows`;
}

/** Opens a drawing in a browser that knows nothing of the page. */
async function alone(browser, text, insist) {
  const context = await browser.newContext({ viewport: WIDE });
  const page = await context.newPage();
  const asked = [];
  page.on("request", (request) => request.url().startsWith("data:") || asked.push(request.url()));
  await page.goto(`data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`);
  const seen = await page.evaluate(() => {
    const root = document.documentElement;
    const { width, height } = root.viewBox.baseVal;
    const texts = [...root.querySelectorAll("text")];
    const outside = texts.filter((text) => {
      const { x, y, width: wide, height: tall } = text.getBBox();
      return x < 0 || y < 0 || x + wide > width || y + tall > height;
    });
    return {
      name: root.localName,
      title: root.querySelector("title")?.textContent ?? "",
      texts: texts.length,
      curves: root.querySelectorAll("g path").length,
      outside: outside.map((text) => text.textContent),
      scripts: root.querySelectorAll("script, foreignObject, image").length,
    };
  });
  await context.close();
  insist(seen.name === "svg" && seen.title !== "", `it opens as ${seen.name} called ${seen.title}`);
  insist(seen.texts > 5 && seen.curves > 0, `${seen.texts} texts and ${seen.curves} curves`);
  insist(seen.outside.length === 0, `outside of it: ${seen.outside.join(", ")}`);
  insist(seen.scripts === 0 && asked.length === 0, `it asks for ${asked.join(", ")}`);
  return `SVG of ${seen.texts} texts and ${seen.curves} curves`;
}
