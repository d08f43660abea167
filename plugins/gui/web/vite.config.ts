import { defineConfig } from "vite";

// The control plane serves what is built here; `npm run dev` asks one that runs on this machine.
const CONTROL_PLANE = "http://localhost:5683";

export default defineConfig({
  base: "/",
  build: {
    outDir: "../kuma_gui/pages",
    emptyOutDir: true,
    target: "es2022",
    // Nothing is put into the page itself: its content security policy takes no inline script, no data: address.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: "manifest.json",
  },
  worker: { format: "es" },
  server: { proxy: { "/api": CONTROL_PLANE, "/config": CONTROL_PLANE } },
});
