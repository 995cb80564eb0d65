// Pictures of every view, for the manual and for critical eyes: node drive/shots.mjs URL FOLDER [VIEW…]

import { mkdirSync } from "node:fs";

import { NARROW, open, start, visit, WIDE } from "./browser.mjs";

const [base, folder, ...wanted] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const { deaths } = await (await fetch(`${base}/api/highwater/v1/deaths`)).json();
// Of a certain name, where there are several.
const isMeant = ({ cause, name }) => cause.startsWith("kernel-oom") && name === (process.env.KILLED ?? name);
const killed = deaths.find(isMeant) ?? deaths[0];
const at = Date.parse(killed.time);
const to = Math.min(at + 300_000, Date.now());
const views = {
  now: "#/now",
  time: `#/time?from=${at - 900_000}&to=${to}&at=${at - 1000}`,
  deaths: "#/deaths",
  death: `#/deaths/${killed.id}`,
  growth: "#/growth",
  alerts: "#/alerts?last=3600",
  backtest: "#/alerts/backtest",
  owner: `#/owner?${new URLSearchParams({ kind: killed.owner.startsWith("/") ? "cgroup" : "unit", id: killed.owner, from: at - 600_000, to, at: at - 1000 })}`,
  explore: `#/explore?${new URLSearchParams({ q: 'topk(5, container_memory_rss{unit=~".+"})', from: at - 900_000, to: Math.min(at + 60_000, to) })}`,
};
// Names of whoever else ran on the machine are nobody's business: they are replaced in the picture.
function rename([from, to]) {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const known = new Map();
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    node.data = node.data.replace(new RegExp(`${from}[0-9a-f…]+`, "g"), (name) => {
      const key = name.slice(0, from.length + 12);
      if (!known.has(key)) known.set(key, `${to}${known.size + 1}`);
      return known.get(key);
    });
  }
}

const looks = [
  ["light", { viewport: WIDE, theme: "light" }],
  ["dark", { viewport: WIDE, theme: "dark" }],
  ["narrow", { viewport: NARROW, theme: "light" }],
  ["narrow-dark", { viewport: NARROW, theme: "dark" }],
  ["zh", { viewport: WIDE, theme: "light", language: "zh" }],
];
const browser = await start();
for (const [name, hash] of Object.entries(views)) {
  for (const [look, how] of looks) {
    if (wanted.length > 0 && !wanted.includes(name) && !wanted.includes(`${name}-${look}`)) continue;
    const { context, page, faults } = await open(browser, base, how);
    await visit(page, base, hash);
    if (process.env.RENAME) await page.evaluate(rename, process.env.RENAME.split("="));
    await page.screenshot({ path: `${folder}/${name}-${look}.png` });
    for (const fault of faults) console.log(`${name}-${look}: ${fault}`);
    await context.close();
  }
}
await browser.close();
