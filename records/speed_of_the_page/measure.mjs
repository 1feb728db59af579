// The page in Chromium beside ONNX Runtime in Python: node measure.mjs -o result.json, after `npm install` in web/.
//
// A photo of 512 px is painted by the page with one thread and with two, and by ONNX Runtime in Python with one thread,
// in turns in one run; the first rounds warm up. The page's time is that of painting: pixels to floats, the network,
// floats to pixels. Python's is the network's alone. Nothing else may run meanwhile.
//
// CHROMIUM and PYTHON name the two; FASTNST_SITE a page that was built elsewhere. One with the runtime for graphics
// cards is also measured on the card, if there is one; CHROMIUM_FLAGS has what Chromium needs for it.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { browser, host, painted, SITE, visit } from "../../web/tests/site.mjs";

const given = Object.fromEntries([["--rounds", "30"], ["-o", "result.json"]].map(([flag, usual]) => {
  const place = process.argv.indexOf(flag);
  return [flag, place < 0 ? usual : process.argv[place + 1]];
}));
const WARM_UP = 3;
const folder = mkdtempSync(join(tmpdir(), "fastnst-speed-"));
const photo = join(folder, "photo.png");
const reference = fileURLToPath(new URL("reference.py", import.meta.url));
const python = spawn(process.env.PYTHON ?? "python3", [reference, SITE, photo], { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface(python.stdout)[Symbol.asyncIterator]();
const versions = JSON.parse((await lines.next()).value);

async function inPython() {
  python.stdin.write("\n");
  return Number((await lines.next()).value);
}

const site = await host();
const chrome = await browser();
const context = await chrome.newContext();

async function opened(query) {
  const page = await visit(context, site.url + query);
  await page.waitForFunction(() => crossOriginIsolated, null, { timeout: 60_000 });
  await page.waitForSelector("body[data-ready]");
  if (query.includes("device=webgpu")) {
    const there = page.waitForSelector("body[data-device=webgpu]", { timeout: 60_000 });
    if (!(await there.then(() => true, () => false))) return undefined;
  }
  await page.setInputFiles("#pick", photo);
  await painted(page, 600_000);
  return page;
}

async function inPage(page, round) {
  const style = ["udnie", "mondrian"][round % 2];
  await page.bringToFront();
  await page.$eval("#status", (status) => (status.textContent = ""));
  await page.click(`#styles label:has(img[src="styles/${style}.jpg"])`);
  await painted(page, 600_000);
  return Number(await page.$eval("body", (body) => body.dataset.seconds));
}

const pages = {};
for (const [name, query] of [["one thread", "?threads=1&device=wasm"], ["two threads", "?threads=2&device=wasm"], ["graphics card", "?device=webgpu"]]) {
  const page = await opened(query);
  if (page) pages[name] = page;
}
const seconds = { python: [] };
for (const name of Object.keys(pages)) seconds[name] = [];
for (let round = 0; round < WARM_UP + Number(given["--rounds"]); round++) {
  const times = { python: await inPython() };
  for (const [name, page] of Object.entries(pages)) times[name] = await inPage(page, round);
  if (round >= WARM_UP) for (const [name, time] of Object.entries(times)) seconds[name].push(time);
}
const sorted = (values) => [...values].sort((a, b) => a - b);
const median = (values) => sorted(values)[Math.floor(values.length / 2)];
const ratios = (first, second) => {
  const each = seconds[first].map((time, i) => time / seconds[second][i]);
  return { median: median(each), lowest: Math.min(...each), highest: Math.max(...each) };
};
const result = {
  photo: "sample:astronaut, 512 x 512",
  rounds: Number(given["--rounds"]),
  hardware: `${cpus()[0].model}, ${cpus().length} cores`,
  versions: { ...versions, chromium: chrome.version(), node: process.version },
  "page with one thread to Python": ratios("one thread", "python"),
  "two threads to one": ratios("two threads", "one thread"),
  ...("graphics card" in pages ? { "graphics card to one thread": ratios("graphics card", "one thread") } : {}),
  seconds,
};
writeFileSync(given["-o"], `${JSON.stringify(result, null, 1)}\n`);
await chrome.close();
site.close();
python.stdin.end();
rmSync(folder, { recursive: true, force: true });
