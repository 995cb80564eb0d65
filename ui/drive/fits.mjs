// Whether a view keeps within its window, whatever is in it.

import { open, visit } from "./browser.mjs";

/** By how many pixels the page could be moved sideways, and what sticks out. */
export async function wider(page) {
  return page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    const sticksOut = [...document.querySelectorAll("main *")].find((one) => one.getBoundingClientRect().right > clientWidth + 1);
    return { by: scrollWidth - clientWidth, what: sticksOut ? `${sticksOut.tagName}.${sticksOut.className}` : "" };
  });
}

const NAME = `name-without-end-${"x".repeat(240)}`;
const SENTENCE = `${NAME} was killed because ${"and so on, ".repeat(60)}`;
const LENGTHENED = { text: SENTENCE, summary: SENTENCE, comm: NAME, owner: NAME, name: NAME, unit: NAME, container: NAME };

/** The same document with names and sentences longer than any window. */
function lengthened(value) {
  if (Array.isArray(value)) return value.map(lengthened);
  if (value === null || typeof value !== "object") return value;
  const longer = ([key, part]) => [key, typeof part === "string" && key in LENGTHENED ? LENGTHENED[key] : lengthened(part)];
  return Object.fromEntries(Object.entries(value).map(longer));
}

/**
 * The views that can be moved sideways when every name and sentence is long. They come late, too: what
 * stood before they came is no proof.
 */
export async function tooWide(browser, base, views, viewport) {
  const { page, context } = await open(browser, base, { viewport });
  await page.route("**/api/**", async (route) => {
    // It has no end that could be waited for.
    if (route.request().url().endsWith("/stream")) return route.continue();
    const response = await route.fetch();
    const body = await response.json().catch(() => null);
    await route.fulfill(body === null ? { response } : { response, json: lengthened(body) });
  });
  const found = [];
  for (const [view, hash] of Object.entries(views)) {
    await visit(page, base, hash);
    const { by, what } = await wider(page);
    if (by > 0) found.push(`${view} is ${by} px too wide: ${what}`);
  }
  const isLong = await page.evaluate((name) => document.body.innerText.includes(name), NAME);
  await context.close();
  if (!isLong) found.push("no long name was shown");
  return found;
}
