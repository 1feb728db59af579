// The built page on the loopback, as a plain static host serves it, and a browser to visit it.

import { createServer } from "node:http";
import { existsSync, readFileSync, statSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const SITE = process.env.FASTNST_SITE ?? fileURLToPath(new URL("../../fastnst/serving/site", import.meta.url));
export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".txt": "text/plain" };

/** A static host. `requests` has every request; `off` makes it answer nothing, `missing` is a file it lacks, `headers` are more. */
export async function host(folder = SITE) {
  const state = { requests: [], off: false, missing: undefined, headers: {} };
  const server = createServer((request, response) => {
    state.requests.push({ method: request.method, url: request.url });
    const path = join(folder, normalize(decodeURIComponent(new URL(request.url, "http://x").pathname)));
    const file = existsSync(path) && statSync(path).isDirectory() ? join(path, "index.html") : path;
    if (state.off) return request.socket.destroy();
    if (!existsSync(file) || request.url === state.missing) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", ...state.headers }).end(readFileSync(file));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { state, url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

export function browser(flags = process.env.CHROMIUM_FLAGS?.split(" ") ?? []) {
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", ...flags] });
}

/** A page that has loaded its painter; what it complains of is kept in `faults`. */
export async function visit(context, url) {
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("console", (message) => message.type() === "error" && page.faults.push(message.text()));
  await page.goto(url);
  await page.waitForSelector("body[data-ready]", { timeout: 60_000 });
  return page;
}

/** Waits until the picture is painted. */
export async function painted(page, timeout = 120_000) {
  await page.waitForFunction(() => /is painted/.test(document.getElementById("status").textContent), null, { timeout });
}

/** The file that a button downloads. */
export async function downloaded(page, id, timeout = 120_000) {
  const [download] = await Promise.all([page.waitForEvent("download", { timeout }), page.click(id)]);
  return { name: download.suggestedFilename(), data: readFileSync(await download.path()) };
}
