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
  page.on("request", (request) => {
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

export async function settled(page) {
  await page.waitForLoadState("networkidle");
  await page.waitForFunction(() => !document.querySelector("[aria-busy]"));
}
