// How long the page takes, as somebody sees it who looks at it.

import { open } from "./browser.mjs";

const median = (times) => Math.round([...times].sort((a, b) => a - b)[Math.floor(times.length / 2)]);

/** Milliseconds from an address typed to memory painted, and to the verdict: of so many turns the median. */
export async function firstView(browser, base, turns) {
  const seen = { memory: [], verdict: [] };
  for (let turn = 0; turn < turns; turn += 1) {
    const times = await painted(browser, `${base}/#/now`, { memory: "dd[data-kind]", verdict: ".verdict h1" });
    seen.memory.push(times.memory);
    seen.verdict.push(times.verdict);
  }
  return { memory: median(seen.memory), verdict: median(seen.verdict) };
}

/** Milliseconds until a view over a history has drawn its curve. */
export async function firstCurve(browser, base, hash, turns) {
  const times = [];
  for (let turn = 0; turn < turns; turn += 1) {
    const { curve } = await painted(browser, `${base}/${hash}`, { curve: ".plot canvas" });
    times.push(curve);
  }
  return median(times);
}

/** Milliseconds from the start of a navigation to the frame after the one in which each thing stood there. */
async function painted(browser, address, things) {
  const { page, context } = await open(browser, new URL(address).origin);
  await page.addInitScript(noteThings, things);
  await page.goto(address, { waitUntil: "commit" });
  await page.waitForFunction((count) => Object.keys(window.stood).length === count, Object.keys(things).length);
  const times = await page.evaluate(() => window.stood);
  await context.close();
  return times;
}

/** Notes, as `stood`, when each thing was painted; by the page's own clock, which starts with the navigation. */
function noteThings(things) {
  window.stood = {};
  const looked = new Set();
  const look = () => {
    for (const [name, selector] of Object.entries(things)) {
      if (looked.has(name) || document.querySelector(selector) === null) continue;
      looked.add(name);
      requestAnimationFrame(() => requestAnimationFrame((now) => (window.stood[name] = now)));
    }
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
}

/** Milliseconds from the end of a drag in a chart to the frame in which its axis is another. */
export async function zoom(browser, base, hash, turns) {
  const { page, context } = await open(browser, base);
  await page.goto(`${base}/${hash}`);
  const times = [];
  for (let turn = 0; turn < turns; turn += 1) {
    await page.evaluate((hash) => (location.hash = hash), hash);
    await page.waitForLoadState("networkidle");
    await page.locator(".u-over").first().waitFor();
    const over = await page.locator(".u-over").first().boundingBox();
    await page.evaluate(noteFrames);
    await page.mouse.move(over.x + over.width * 0.3, over.y + 40);
    await page.mouse.down();
    await page.mouse.move(over.x + over.width * 0.7, over.y + 40, { steps: 4 });
    await page.mouse.up();
    times.push(await page.evaluate(() => window.painted));
  }
  await context.close();
  return median(times);
}

/** Notes, as `painted`, how long after a button was let go another span stood on the chart and was drawn. */
function noteFrames() {
  const chart = () => document.querySelector(".plot")?.getAttribute("aria-label");
  const before = chart();
  window.painted = new Promise((told) => {
    const look = (begun) => {
      // The frame after the one in which it changed: by then it was drawn.
      if (chart() !== before) requestAnimationFrame(() => told(performance.now() - begun));
      else requestAnimationFrame(() => look(begun));
    };
    document.addEventListener("mouseup", () => look(performance.now()), { once: true, capture: true });
  });
}
