// Debian's Chromium, and pages in it that may reach nothing but the agent.

import { chromium } from "playwright-core";

export const WIDE = { width: 1440, height: 900 };
export const NARROW = { width: 390, height: 844 };

export async function start() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] });
}

/** A page of this size and look; what goes wrong in it is noted in `faults`. */
export async function open(browser, base, { viewport = WIDE, theme = "light", language = "en" } = {}) {
  const locale = language === "zh" ? "zh-CN" : "en-US";
  const context = await browser.newContext({ viewport, locale, colorScheme: theme, deviceScaleFactor: 1 });
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => message.type() === "error" && faults.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  const asking = new Set();
  pending.set(page, asking);
  page.on("requestfinished", (request) => asking.delete(request));
  page.on("requestfailed", (request) => asking.delete(request));
  page.on("request", (request) => {
    // Not what stays open for good: the stream of news.
    if (["fetch", "script", "stylesheet"].includes(request.resourceType())) asking.add(request);
    const url = new URL(request.url());
    const isOwn = url.origin === new URL(base).origin || url.protocol === "data:" || url.protocol === "blob:";
    if (!isOwn) faults.push(`asks elsewhere: ${url.origin}`);
  });
  return { context, page, faults };
}

/** Goes to a view, and waits until nothing is being read any more. */
export async function visit(page, base, hash) {
  const isSame = page.url().startsWith(base);
  if (isSame) await page.evaluate((hash) => (location.hash = hash), hash);
  else await page.goto(`${base}/${hash}`);
  await settled(page);
}

/** What each page has asked for and not got yet. */
const pending = new WeakMap();

/** So often in a row nothing may be under way: what has come is drawn, and may ask for more. */
const QUIET_LOOKS = 3;
const LOOK_MS = 40;
const PATIENCE_MS = 40_000;

/** Waits until nothing is being read. A page that follows the recorder asks again and again: no longer than that. */
export async function settled(page) {
  const end = Date.now() + PATIENCE_MS;
  for (let quiet = 0; quiet < QUIET_LOOKS; ) {
    if (Date.now() > end) throw new Error("it is still being read");
    const isBusy = await page.evaluate(() => document.querySelector("[aria-busy]") !== null || document.querySelector("#page")?.childElementCount === 0);
    quiet = isBusy || pending.get(page).size > 0 ? 0 : quiet + 1;
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}
