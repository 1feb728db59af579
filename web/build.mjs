// Builds the page: types are checked, Vite bundles, the runtime and the service worker are added.
//
//   node build.mjs                  into fastnst/serving/site, which is committed
//   node build.mjs FOLDER           elsewhere
//   node build.mjs FOLDER --webgpu  with the runtime for graphics cards, 7 MB more
import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync, mkdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const here = dirname(fileURLToPath(import.meta.url));
const webgpu = process.argv.includes("--webgpu");
const [folder] = process.argv.slice(2).filter((each) => !each.startsWith("--"));
if (webgpu && folder === undefined) {
  console.error("node build.mjs FOLDER --webgpu: the committed page has no runtime for graphics cards");
  process.exit(2);
}
const site = folder ? resolve(folder) : join(here, "../fastnst/serving/site");
process.env.FASTNST_WEBGPU = webgpu ? "1" : "0";
const runtime = join(here, "node_modules/onnxruntime-web/dist");

execFileSync(join(here, "node_modules/.bin/tsc"), ["--noEmit", "-p", here], { stdio: "inherit" });
await build({ root: here, logLevel: "warn", build: { outDir: site, emptyOutDir: true } });

mkdirSync(join(site, "ort"));
const loaders = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs"];
const binaries = { "runtime.bin": "ort-wasm-simd-threaded.wasm" };
if (webgpu) {
  loaders.push("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs");
  binaries["webgpu.bin"] = "ort-wasm-simd-threaded.asyncify.wasm";
}
for (const name of loaders) {
  const text = readFileSync(join(runtime, name), "utf8").replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n");
  writeFileSync(join(site, "ort", name.replace(/\.mjs$/, ".js")), text); // hosts such as nginx do not know .mjs
}
// Packed here, because not every host packs what it sends. No suffix that a host could take for an encoding.
for (const [name, binary] of Object.entries(binaries)) {
  writeFileSync(join(site, "ort", name), gzipSync(readFileSync(join(runtime, binary)), { level: 9 }));
}

const files = readdirSync(site, { recursive: true, withFileTypes: true })
  .filter((each) => each.isFile())
  .map((each) => relative(site, join(each.parentPath, each.name)).replaceAll("\\", "/"))
  .sort();
const hash = createHash("sha256");
// Of the packed runtime only its name: another version of zlib packs it differently.
for (const name of files) hash.update(name).update(name.endsWith(".bin") && name.startsWith("ort/") ? "" : readFileSync(join(site, name)));
const isLater = (name) => name.startsWith("any/") || name.includes("webgpu") || name.includes("asyncify");
// A worker has no policy of the page, but that of its own response.
const [, policy] = readFileSync(join(site, "index.html"), "utf8").match(/http-equiv="Content-Security-Policy"\s+content="([^"]+)"/);
const listed = (names) => JSON.stringify(names, null, 1);
const worker = readFileSync(join(here, "src/service-worker.js"), "utf8")
  .replace("POLICY", policy)
  .replace("VERSION", hash.digest("hex").slice(0, 16))
  .replace("[/* FILES */]", listed(["./", ...files.filter((name) => name !== "index.html" && !isLater(name))]))
  .replace("[/* LATER */]", listed(files.filter(isLater)));
writeFileSync(join(site, "service-worker.js"), worker);
