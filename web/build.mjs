// Builds the page into fastnst/serving/site: types are checked, Vite bundles, the runtime and the service worker are added.
import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync, mkdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const here = dirname(fileURLToPath(import.meta.url));
const site = process.argv[2] ?? join(here, "../fastnst/serving/site");
const runtime = join(here, "node_modules/onnxruntime-web/dist");

execFileSync(join(here, "node_modules/.bin/tsc"), ["--noEmit", "-p", here], { stdio: "inherit" });
await build({ root: here, logLevel: "warn", build: { outDir: site, emptyOutDir: true } });

mkdirSync(join(site, "ort"));
for (const name of ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs"]) {
  const text = readFileSync(join(runtime, name), "utf8").replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n");
  writeFileSync(join(site, "ort", name), text);
}
// Packed here, because not every host packs what it sends. No suffix that a host could take for an encoding.
writeFileSync(join(site, "ort", "runtime.bin"), gzipSync(readFileSync(join(runtime, "ort-wasm-simd-threaded.wasm")), { level: 9 }));

const files = readdirSync(site, { recursive: true, withFileTypes: true })
  .filter((each) => each.isFile())
  .map((each) => relative(site, join(each.parentPath, each.name)).replaceAll("\\", "/"))
  .sort();
const hash = createHash("sha256");
// Of the packed runtime only its name: another version of zlib packs it differently.
for (const name of files) hash.update(name).update(name.endsWith(".bin") && name.startsWith("ort/") ? "" : readFileSync(join(site, name)));
const worker = readFileSync(join(here, "src/service-worker.js"), "utf8")
  .replace("VERSION", hash.digest("hex").slice(0, 16))
  .replace("[/* FILES */]", JSON.stringify(["./", ...files.filter((name) => name !== "index.html")], null, 1));
writeFileSync(join(site, "service-worker.js"), worker);
