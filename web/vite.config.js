import { defineConfig } from "vite";

// Names without hashes: the output is committed, and a change shows as a change of the same file.
const names = { entryFileNames: "assets/[name].js", chunkFileNames: "assets/[name].js", assetFileNames: "assets/[name][extname]" };

export default defineConfig({
  base: "./",
  define: { __WEBGPU__: JSON.stringify(process.env.FASTNST_WEBGPU === "1") },
  build: {
    outDir: "../fastnst/serving/site",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    rollupOptions: { output: names },
  },
  worker: { format: "es", rollupOptions: { output: names } },
});
