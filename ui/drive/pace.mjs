// How long the page takes, as somebody sees it who looks at it.

import { open } from "./browser.mjs";

const median = (times) => Math.round([...times].sort((a, b) => a - b)[Math.floor(times.length / 2)]);

/** Milliseconds from an address typed to memory drawn, and to the verdict: of so many turns the median. */
export async function firstView(browser, base, turns) {
  const seen = { memory: [], verdict: [] };
  for (let turn = 0; turn < turns; turn += 1) {
    const { page, context } = await open(browser, base);
    const begun = performance.now();
    await page.goto(`${base}/#/now`, { waitUntil: "commit" });
    await page.locator("dd[data-kind]").first().waitFor();
    seen.memory.push(performance.now() - begun);
    await page.locator(".verdict h1").waitFor();
    seen.verdict.push(performance.now() - begun);
    await context.close();
  }
  return { memory: median(seen.memory), verdict: median(seen.verdict) };
}

/** Milliseconds until a view over a history has drawn its curve. */
export async function firstCurve(browser, base, hash, turns) {
  const times = [];
  for (let turn = 0; turn < turns; turn += 1) {
    const { page, context } = await open(browser, base);
    const begun = performance.now();
    await page.goto(`${base}/${hash}`, { waitUntil: "commit" });
    await page.locator(".plot canvas").first().waitFor();
    times.push(performance.now() - begun);
    await context.close();
  }
  return median(times);
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
