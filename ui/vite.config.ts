import { readFileSync } from "node:fs";

import { defineConfig, type Plugin } from "vite";

// The agent that a page under work asks, named by whoever works on it.
const agent = process.env["HIGHWATER_AGENT"] ?? "http://127.0.0.1:9477";

/** What the page has of others asks for it: their notices go where it goes. */
const notices = (): Plugin => ({
  name: "notices",
  generateBundle(_, bundle) {
    const files = Object.values(bundle).flatMap((part) => (part.type === "chunk" ? Object.keys(part.modules) : []));
    const packages = new Set(files.flatMap((file) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []));
    const all = [...packages].sort().map((name) => `== ${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()}\n`);
    const head = "The page of highwater has these in it.\n\n";
    this.emitFile({ type: "asset", fileName: "assets/notices.txt", source: head + all.join("\n") });
  },
});

export default defineConfig({
  plugins: [notices()],
  build: {
    target: "es2022",
    // The policy allows no inline anything: every picture is a file of its own.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": { target: agent, changeOrigin: true } } },
  preview: { proxy: { "/api": { target: agent, changeOrigin: true } } },
});
