import { defineConfig } from "vite";

// The agent that a page under work asks, named by whoever works on it.
const agent = process.env["HIGHWATER_AGENT"] ?? "http://127.0.0.1:9477";

export default defineConfig({
  build: {
    target: "es2022",
    // The policy allows no inline anything: every picture is a file of its own.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": { target: agent, changeOrigin: true } } },
  preview: { proxy: { "/api": { target: agent, changeOrigin: true } } },
});
