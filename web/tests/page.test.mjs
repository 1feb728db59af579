// The built page in a real browser: npm test. PYTHON names a Python with fastnst, CHROMIUM a browser.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { after, afterEach, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { unzipSync } from "fflate";
import { browser, downloaded, host, painted, SITE, visit } from "./site.mjs";

const slow = process.env.FASTNST_SLOW === "1";
const folder = mkdtempSync(join(tmpdir(), "fastnst-page-"));
const file = (name) => join(folder, name);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let site, chrome, context;

before(async () => {
  const script = fileURLToPath(new URL("fixtures.py", import.meta.url));
  execFileSync(process.env.PYTHON ?? "python3", [script, folder, ...(slow ? ["--slow"] : [])], { stdio: "inherit" });
  chrome = await browser();
});

after(async () => {
  await chrome?.close();
  rmSync(folder, { recursive: true, force: true });
});

afterEach(async () => {
  await context?.close();
  site?.close();
});

/** A page on a host of its own, in a browser that was never there. */
async function fresh(path = "", options = {}) {
  site = await host();
  context = await chrome.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  return visit(context, site.url + path);
}

const as = (page, selector, value) => page.selectOption(selector, value);
const style = (page, name) => page.click(`#styles label:has(img[src="styles/${name}.jpg"])`);

async function slide(page, id, value) {
  await page.$eval(id, (slider, value) => {
    slider.value = value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    slider.dispatchEvent(new Event("change", { bubbles: true }));
  }, String(value));
}

async function again(page, change) {
  await page.$eval("#status", (status) => (status.textContent = ""));
  await change();
  await painted(page);
}

/** Whether the browser computes with a graphics card that is none made of software. */
async function hasCard() {
  const { url, close } = await host(); // a page of a host, for others have no `navigator.gpu`
  const page = await chrome.newPage();
  await page.goto(url);
  const card = await page.evaluate(async () => {
    const adapter = await navigator.gpu?.requestAdapter();
    return Boolean(adapter) && !adapter.info?.isFallbackAdapter && !/swiftshader/i.test(`${adapter.info?.architecture} ${adapter.info?.description}`);
  });
  await page.close();
  close();
  return card;
}

/** Largest and root mean square difference of two pictures, in levels of 255. */
async function apart(page, first, second) {
  const urls = [first, second].map((data) => `data:image/png;base64,${Buffer.from(data).toString("base64")}`);
  const reader = await page.context().browser().newPage(); // without the page's policy
  const result = await reader.evaluate(async (urls) => {
    const [a, b] = await Promise.all(
      urls.map(async (url) => {
        const bitmap = await createImageBitmap(await (await fetch(url)).blob());
        const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
        canvas.drawImage(bitmap, 0, 0);
        return canvas.getImageData(0, 0, bitmap.width, bitmap.height);
      }),
    );
    if (a.width !== b.width || a.height !== b.height) return { size: [a.width, a.height, b.width, b.height] };
    let [largest, sum] = [0, 0];
    for (let i = 0; i < a.data.length; i++) {
      const difference = Math.abs(a.data[i] - b.data[i]);
      largest = Math.max(largest, difference);
      sum += difference ** 2;
    }
    return { largest, rms: Math.sqrt((sum / a.data.length) * (4 / 3)) };
  }, urls);
  await reader.close();
  return result;
}

test("a photo is painted as fastnst apply paints it, to 2 levels of 255", async () => {
  const page = await fresh();
  await as(page, "#format", "image/png");
  await as(page, "#size", "0");
  await style(page, "udnie");
  await page.setInputFiles("#pick", file("coffee.png"));
  await painted(page);
  const { name, data } = await downloaded(page, "#download");
  assert.equal(name, "coffee-udnie.png");
  const plain = await apart(page, data, readFileSync(file("coffee-udnie.png")));
  assert.ok(plain.largest <= 2, JSON.stringify(plain));

  await page.selectOption("#second", { label: "Mondrian" });
  await again(page, () => slide(page, "#mix", 40));
  await slide(page, "#strength", 70);
  await page.check("#colors");
  await page.waitForTimeout(500);
  const mixed = await downloaded(page, "#download");
  const look = await apart(page, mixed.data, readFileSync(file("coffee-mix.png")));
  assert.ok(look.largest <= 2, JSON.stringify(look));
  assert.ok((await apart(page, mixed.data, data)).largest > 20); // the sliders do something
  assert.deepEqual(page.faults, []);
});

test("a photo is painted like one's own painting, and a blend of two, as fastnst apply --instant does, to 2 levels of 255", async () => {
  const page = await fresh();
  const asked = () => site.state.requests.filter(({ url }) => url.startsWith("/any/") && !/service-worker/.test(url));
  await as(page, "#format", "image/png");
  await as(page, "#size", "0");
  await page.setInputFiles("#pick", file("coffee.png"));
  await painted(page);
  await again(page, () => page.setInputFiles("#pick-painting", file("wave.png")));
  assert.ok(asked().length > 0);
  const { name, data } = await downloaded(page, "#download");
  assert.equal(name, "coffee-wave.png");
  const plain = await apart(page, data, readFileSync(file("coffee-like-wave.png")));
  assert.ok(plain.largest <= 2, JSON.stringify(plain));
  assert.deepEqual(await page.$$eval("#second option", (all) => all.map(({ text }) => text)), ["no other style", "wave"]);

  await again(page, () => page.setInputFiles("#pick-painting", file("brick.png")));
  await page.selectOption("#second", { label: "wave" });
  await painted(page);
  await again(page, () => slide(page, "#mix", 30));
  await slide(page, "#strength", 80);
  await page.waitForTimeout(500);
  const blend = await downloaded(page, "#download");
  const mixed = await apart(page, blend.data, readFileSync(file("coffee-like-both.png")));
  assert.ok(mixed.largest <= 2, JSON.stringify(mixed));
  assert.ok((await apart(page, blend.data, data)).largest > 20);

  await again(page, () => style(page, "udnie"));
  assert.ok((await page.$$eval("#second option", (all) => all.length)) > 12); // styles are mixed with styles
  assert.deepEqual(page.faults, []);
});

test("of a long painting the middle is looked at, as fastnst apply --instant does", async () => {
  const page = await fresh();
  await as(page, "#format", "image/png");
  await as(page, "#size", "0");
  await page.setInputFiles("#pick", file("coffee.png"));
  await painted(page);
  await again(page, () => page.setInputFiles("#pick-painting", file("strip.png")));
  const strip = await apart(page, (await downloaded(page, "#download")).data, readFileSync(file("coffee-like-strip.png")));
  assert.ok(strip.largest <= 2, JSON.stringify(strip));
});

test("paintings are dropped on the styles; a broken one is told, and the style before stays", async () => {
  const page = await fresh();
  const drop = (selector, name) =>
    page.evaluate(([selector, data, name]) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name, { type: "image/png" }));
      document.querySelector(selector).dispatchEvent(new DragEvent("drop", { dataTransfer, cancelable: true, bubbles: true }));
    }, [selector, readFileSync(file(name)).toString("base64"), name]);
  await drop("#style-box .hint", "wave.png"); // before there is a photo
  await page.waitForSelector("#styles canvas");
  assert.ok(await page.isVisible("#drop"));
  await drop("#drop", "coffee.png");
  await painted(page);
  await drop("#own", "broken.jpg");
  await page.waitForFunction(() => !document.getElementById("error").hidden);
  assert.match(await page.textContent("#error"), /broken\.jpg: this is not a picture/);
  assert.equal(await page.$eval("#styles :checked", (radio) => radio.parentElement.textContent), "wave");
  assert.equal(await page.locator("#photos li").count(), 1);
  assert.equal((await downloaded(page, "#download")).name, "coffee-wave.jpg"); // the picture from before is still there
});

test("what is shown is what is downloaded", async () => {
  const page = await fresh();
  await as(page, "#format", "image/png");
  await page.setInputFiles("#pick", file("coffee.png"));
  await painted(page);
  await slide(page, "#strength", 40);
  await page.waitForTimeout(500);
  const shown = await page.$eval("#after", (canvas) => canvas.toDataURL("image/png").split(",")[1]);
  const { data } = await downloaded(page, "#download");
  assert.ok((await apart(page, Buffer.from(shown, "base64"), data)).largest <= 1);
  const untouched = await page.$eval("#before", (canvas) => canvas.toDataURL("image/png").split(",")[1]);
  assert.equal((await apart(page, Buffer.from(untouched, "base64"), readFileSync(file("coffee.png")))).largest, 0);
});

test("tiles match the whole, without seams", async () => {
  const page = await fresh();
  await as(page, "#format", "image/png");
  await page.setInputFiles("#pick", file("astronaut.png"));
  await painted(page);
  const whole = (await downloaded(page, "#download")).data;
  await page.goto(`${site.url}?tile=100`);
  await page.waitForSelector("body[data-ready]");
  await as(page, "#format", "image/png");
  await page.setInputFiles("#pick", file("astronaut.png"));
  await painted(page);
  const tiles = (await downloaded(page, "#download")).data;
  const { rms } = await apart(page, whole, tiles);
  assert.ok(rms > 0 && 20 * Math.log10(255 / rms) > 20, `${rms}`); // statistics of four squares, not of all
  // A seam would be a step between the tiles of one painting that the other does not have.
  const steps = await page.evaluate(async (pictures) => {
    const read = async (data) => {
      const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))]));
      const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
      canvas.drawImage(bitmap, 0, 0);
      return canvas.getImageData(0, 0, bitmap.width, bitmap.height).data;
    };
    const [a, b] = await Promise.all(pictures.map(read));
    const step = (x) => {
      let sum = 0;
      for (let y = 0; y < 260; y++) {
        const i = (y * 260 + x) * 4;
        for (let c = 0; c < 3; c++) sum += Math.abs(a[i + c] - b[i + c] - (a[i - 4 + c] - b[i - 4 + c]));
      }
      return sum / 780;
    };
    const all = Array.from({ length: 250 }, (_, i) => step(i + 5)).sort((x, y) => x - y);
    return { seams: [86, 173].map(step), most: all[Math.floor(all.length * 0.98)] }; // 260 px are cut there
  }, [whole.toString("base64"), tiles.toString("base64")]);
  for (const seam of steps.seams) assert.ok(seam <= steps.most, JSON.stringify(steps));
});

test("a photo of more than 4 megapixels is tiled as fastnst apply --tile does", { skip: slow ? false : "minutes; FASTNST_SLOW=1" }, async () => {
  const page = await fresh();
  await as(page, "#format", "image/png");
  await as(page, "#size", "0");
  await style(page, "udnie");
  await page.setInputFiles("#pick", file("big.png"));
  await painted(page, 1_200_000);
  const { data } = await downloaded(page, "#download");
  const difference = await apart(page, data, readFileSync(file("big-udnie.png")));
  assert.ok(difference.largest <= 2, JSON.stringify(difference));
});

test("EXIF orientation is honoured, and JPEG comes out", async () => {
  const page = await fresh();
  await page.setInputFiles("#pick", file("turned.jpg"));
  await painted(page);
  assert.match(await page.textContent("#status"), /160 × 240\u00a0px/);
  const { name, data } = await downloaded(page, "#download");
  assert.equal(name, "turned-starry_night.jpg");
  assert.deepEqual([...data.subarray(0, 3)], [0xff, 0xd8, 0xff]);
  await as(page, "#format", "image/png");
  await again(page, () => style(page, "udnie"));
  const upright = (await downloaded(page, "#download")).data;
  const [right, wrong] = await Promise.all(["turned-udnie.png", "turned-wrongly.png"].map((each) => apart(page, upright, readFileSync(file(each)))));
  assert.ok(right.rms < 6 && wrong.rms > 20, JSON.stringify([right, wrong])); // decoders of JPEG differ a little
});

test("photos never leave the machine: nothing but the page's own files is asked for", async () => {
  const page = await fresh();
  const asked = [];
  context.on("request", (request) => asked.push(request));
  await page.setInputFiles("#pick", [file("coffee.png"), file("chelsea.jpg")]);
  await painted(page);
  await downloaded(page, "#zip");
  for (const request of asked.filter((each) => !each.url().startsWith("blob:"))) {
    assert.ok(request.url().startsWith(site.url), request.url());
    assert.equal(request.method(), "GET");
    assert.equal(request.postData(), null);
  }
  assert.ok(site.state.requests.every(({ method, url }) => method === "GET" && !url.includes("coffee")));
  const elsewhere = await host();
  const blocked = (where) => where.evaluate((url) => fetch(url, { method: "POST", body: "x", mode: "no-cors" }).then(() => false, () => true), elsewhere.url);
  assert.ok((await blocked(page)) && page.faults.some((fault) => /Content Security Policy/.test(fault))); // by the page's own policy
  await page.waitForFunction(() => crossOriginIsolated && document.body.dataset.ready !== undefined);
  assert.ok(await blocked(page.workers()[0])); // by that which the service worker adds
  elsewhere.close();
  assert.deepEqual(elsewhere.state.requests, []);
});

test("several photos become a ZIP, one that is broken is told", async () => {
  const page = await fresh();
  await page.setInputFiles("#pick", [file("coffee.png"), file("chelsea.jpg")]);
  await painted(page);
  await page.setInputFiles("#pick-more", [file("coffee.png"), file("broken.jpg")]);
  await page.waitForFunction(() => !document.getElementById("error").hidden);
  assert.match(await page.textContent("#error"), /broken\.jpg: this is not a picture that the browser can read/);
  assert.equal(await page.locator("#photos li").count(), 4);
  const { name, data } = await downloaded(page, "#zip");
  assert.equal(name, "fastnst.zip");
  const inside = unzipSync(new Uint8Array(data));
  const named = ["chelsea-starry_night.jpg", "coffee-starry_night-2.jpg", "coffee-starry_night.jpg"];
  assert.deepEqual(Object.keys(inside).sort(), named);
  for (const picture of Object.values(inside)) assert.deepEqual([...picture.subarray(0, 2)], [0xff, 0xd8]);
  await page.waitForFunction(() => /3 of 4 pictures/.test(document.getElementById("status").textContent));
  assert.match(await page.textContent("#error"), /broken\.jpg/);
});

test("after the ZIP one photo is on view, before and after, and can be downloaded", async () => {
  const page = await fresh();
  const told = (text) =>
    page.waitForFunction((text) => document.getElementById("status").textContent.includes(text), text, { timeout: 120_000 });
  const onView = () =>
    page.evaluate(() => ({
      name: document.querySelector("#photos [aria-current=true]").ariaLabel,
      sizes: ["before", "after"].map((id) => document.getElementById(id).width),
    }));
  await as(page, "#format", "image/png");
  await page.setInputFiles("#pick", [file("coffee.png"), file("chelsea.jpg")]);
  await painted(page);
  await downloaded(page, "#zip");
  await told("2 of 2 pictures");
  assert.deepEqual(await onView(), { name: "chelsea.jpg", sizes: [240, 240] });
  const { name, data } = await downloaded(page, "#download");
  assert.equal(name, "chelsea-starry_night.png");
  const shown = await page.$eval("#after", (canvas) => canvas.toDataURL("image/png").split(",")[1]);
  assert.ok((await apart(page, Buffer.from(shown, "base64"), data)).largest <= 1);

  await page.setInputFiles("#pick-more", file("broken.jpg")); // the last one is not on view: it cannot be painted
  await page.waitForFunction(() => document.getElementById("work").hidden);
  await downloaded(page, "#zip");
  await told("2 of 3 pictures");
  assert.deepEqual(await onView(), { name: "chelsea.jpg", sizes: [240, 240] });
  assert.match(await page.textContent("#error"), /broken\.jpg/);
  assert.equal((await downloaded(page, "#download")).name, "chelsea-starry_night.png");

  await page.click("#zip");
  await told("Painting 1 of 3"); // a photo that is chosen meanwhile is painted instead
  await page.click("#photos li:first-child button");
  await painted(page);
  assert.deepEqual(await onView(), { name: "coffee.png", sizes: [301, 301] });
  assert.equal((await downloaded(page, "#download")).name, "coffee-starry_night.png");
  assert.deepEqual(page.faults, []);
});

test("thumbnails are made small, one after the other, and the painter keeps no picture but the photo", async () => {
  site = await host();
  context = await chrome.newContext();
  await context.addInitScript(() => {
    const make = window.createImageBitmap;
    window.asked = { now: 0, most: 0, widths: [] };
    window.createImageBitmap = async (file, options) => {
      asked.widths.push(options?.resizeWidth);
      asked.most = Math.max(asked.most, ++asked.now);
      try {
        return await make(file, options);
      } finally {
        asked.now--;
      }
    };
  });
  const page = await visit(context, site.url);
  await page.workers()[0].evaluate(() => {
    const make = self.createImageBitmap;
    self.made = [];
    self.createImageBitmap = async (...given) => {
      const bitmap = await make(...given);
      made.push(bitmap);
      return bitmap;
    };
  });
  await page.setInputFiles("#pick", [file("coffee.png"), file("turned.jpg"), file("broken.jpg"), file("chelsea.jpg")]);
  await painted(page);
  await page.waitForFunction(() => document.querySelectorAll("#photos canvas").length === 3);
  assert.deepEqual(await page.evaluate(() => asked), { now: 0, most: 1, widths: [288, 288, 288, 288] });
  // Those that were closed or given to the page have no size.
  assert.equal(await page.workers()[0].evaluate(() => made.filter(({ width }) => width > 0).length), 1);
});

for (const missing of ["network/network.json", "network/weights.bin", "assets/painter.js"]) {
  test(`a page that could not load ${missing} says so, and can be loaded again`, async () => {
    site = await host();
    site.state.missing = `/${missing}`;
    context = await chrome.newContext({ serviceWorkers: "block" });
    const page = await context.newPage();
    await page.goto(site.url);
    await page.waitForSelector("#error button", { timeout: 30_000 });
    assert.match(await page.textContent("#error"), /could not be loaded/);
    await page.setInputFiles("#pick", file("coffee.png"));
    await page.waitForFunction(() => document.getElementById("work").hidden);
    site.state.missing = undefined;
    await page.click("#error button");
    await page.waitForSelector("body[data-ready]", { timeout: 60_000 });
    assert.ok(await page.isHidden("#error"));
  });
}

test("opened as a file it says what it needs, and on a host it does not", async () => {
  const page = await fresh();
  assert.equal(await page.textContent("#status"), "");
  const opened = await context.newPage();
  await opened.goto(pathToFileURL(join(SITE, "index.html")).href);
  await opened.waitForTimeout(4000);
  assert.ok(await opened.isVisible("#status code"));
  const { y } = await opened.locator("#status code").boundingBox(); // no style sheet is loaded there either
  assert.ok(y < 600, `${y}`);
  assert.match(await opened.textContent("#status"), /python -m http\.server/);
});

test("dropped and pasted photos are painted; what is no picture is told", async () => {
  const page = await fresh();
  const give = (kind, name, type) =>
    page.evaluate(([kind, data, name, type]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name, { type }));
      const event = kind === "drop" ? new DragEvent("drop", { dataTransfer: transfer, cancelable: true, bubbles: true }) : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
      return document.body.dispatchEvent(event);
    }, [kind, readFileSync(file(name)).toString("base64"), name, type]);
  await give("drop", "notes.txt", "text/plain");
  assert.match(await page.textContent("#error"), /no picture/);
  assert.equal(await give("drop", "coffee.png", "image/png"), false); // the browser does not open it
  await painted(page);
  await again(page, () => give("paste", "chelsea.jpg", "image/jpeg"));
  assert.match(await page.textContent("#status"), /^chelsea\.jpg/);
});

test("a broken file is told, and the page goes on", async () => {
  const page = await fresh();
  await page.setInputFiles("#pick", file("broken.jpg"));
  await page.waitForFunction(() => !document.getElementById("error").hidden);
  assert.match(await page.textContent("#error"), /broken\.jpg: this is not a picture/);
  await page.waitForSelector("#drop", { state: "visible" }); // the error may come from the thumbnail, before the painter's
  await page.setInputFiles("#pick", file("coffee.png"));
  await painted(page);
  assert.ok(await page.isHidden("#error"));
});

test("a photo of 100 megapixels is painted at a smaller size, and can be cancelled at its own", async () => {
  const page = await fresh();
  await as(page, "#size", "1024");
  await page.setInputFiles("#pick", file("large.png"));
  await painted(page);
  assert.match(await page.textContent("#status"), /1024 × 1024\u00a0px/);
  await page.$eval("#status", (status) => (status.textContent = ""));
  await as(page, "#size", "0");
  await page.waitForFunction(() => document.getElementById("progress").hasAttribute("value"), null, { timeout: 120_000 });
  await page.click("#cancel");
  assert.match(await page.textContent("#status"), /Stopped/);
  assert.ok(await page.isHidden("#work"));
  await as(page, "#size", "1024");
  await painted(page);
});

test("a change while it paints gives up the old picture; a tab closed in the middle harms nothing", async () => {
  const page = await fresh();
  await page.setInputFiles("#pick", file("coffee.png"));
  await page.waitForSelector("#work:visible");
  await style(page, "mondrian");
  await style(page, "udnie");
  await painted(page);
  assert.equal((await downloaded(page, "#download")).name, "coffee-udnie.jpg");
  await style(page, "scream");
  await page.close();
  const next = await visit(context, site.url);
  await next.setInputFiles("#pick", file("coffee.png"));
  await painted(next);
  assert.deepEqual(next.faults, []);
});

test("after the first visit it works without a network, isolated for threads though the host sends no headers", async () => {
  const page = await fresh();
  await page.waitForSelector("#offline:visible");
  await page.waitForFunction(() => crossOriginIsolated);
  await page.waitForFunction(async () => Boolean(await caches.match("any/weights.bin"))); // kept after the first picture's
  site.state.off = true;
  await page.goto(`${site.url}index.html`);
  await page.waitForSelector("body[data-ready]");
  await page.goto(site.url);
  await page.waitForSelector("body[data-ready]");
  await page.setInputFiles("#pick", file("coffee.png"));
  await painted(page);
  assert.ok(await page.evaluate(() => crossOriginIsolated));
  const size = await page.evaluate(async () => {
    let sum = 0;
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      for (const key of await cache.keys()) sum += (await (await cache.match(key)).blob()).size;
    }
    return sum;
  });
  assert.equal(size, 9_696_038); // as the guide says, which tests/serving/test_page.py compares with the files
  await again(page, () => page.setInputFiles("#pick-painting", file("wave.png")));
});

test("in a folder of a host it asks for nothing outside of that folder, and works without a network", async () => {
  const root = file("host");
  mkdirSync(join(root, "some"), { recursive: true });
  symlinkSync(SITE, join(root, "some/folder"), "dir");
  site = await host(root);
  context = await chrome.newContext({ viewport: { width: 1280, height: 860 } });
  const page = await visit(context, `${site.url}some/folder/`);
  await page.waitForFunction(() => crossOriginIsolated);
  await page.waitForFunction(async () => Boolean(await caches.match("any/weights.bin")));
  site.state.off = true;
  await page.goto(`${site.url}some/folder/`);
  await page.waitForSelector("body[data-ready]", { timeout: 120_000 });
  await page.setInputFiles("#pick", file("coffee.png"));
  await painted(page);
  const outside = site.state.requests.filter(({ url }) => !url.startsWith("/some/folder/"));
  assert.deepEqual(outside, []);
  assert.deepEqual(page.faults, []);
});

test("the page in another folder of the host, of another version, keeps its own files", async () => {
  const root = file("two");
  for (const name of ["one", "two"]) cpSync(SITE, join(root, name), { recursive: true });
  const worker = join(root, "two/service-worker.js");
  const [, version] = readFileSync(worker, "utf8").match(/own}([0-9a-f]{16})/);
  writeFileSync(worker, readFileSync(worker, "utf8").replace(version, "0123456789abcdef"));
  site = await host(root);
  context = await chrome.newContext();
  for (const name of ["one", "two"]) {
    const page = await visit(context, `${site.url}${name}/`);
    await page.waitForSelector("#offline:visible");
  }
  site.state.off = true;
  for (const name of ["one", "two"]) await visit(context, `${site.url}${name}/`);
});

test("the first picture needs at most 7 MB as hosts pack it, and nothing of the predictor", async () => {
  const page = await fresh("", { serviceWorkers: "block" });
  await page.setInputFiles("#pick", file("coffee.png"));
  await painted(page);
  const names = [...new Set(site.state.requests.map(({ url }) => url.split("?")[0]))].map((url) => (url === "/" ? "index.html" : url.slice(1)));
  assert.deepEqual(names.filter((name) => name.startsWith("any/")), []);
  const bytes = names.filter((name) => existsSync(join(SITE, name))).reduce((sum, name) => sum + gzipSync(readFileSync(join(SITE, name))).length, 0);
  assert.ok(bytes > 4e6 && bytes <= 7e6, `${bytes}`);
});

test("without a service worker it works too, with one thread", async () => {
  const page = await fresh("", { serviceWorkers: "block" });
  assert.match(await page.textContent("#engine"), /one thread/);
  await page.setInputFiles("#pick", file("coffee.png"));
  await painted(page);
  assert.ok(await page.isHidden("#offline"));
});

test("a keyboard is enough", async () => {
  const page = await fresh();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "pick");
  await page.setInputFiles("#pick", file("coffee.png"));
  await painted(page);
  await page.focus("#split");
  await page.keyboard.press("End");
  assert.equal(await page.inputValue("#split"), "100");
  await page.focus("#styles :checked");
  await again(page, () => page.keyboard.press("ArrowRight"));
  assert.equal(await page.$eval("#styles :checked", (radio) => radio.parentElement.textContent), "Udnie");
  await page.focus("#strength");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await page.textContent("#strength-value"), "99 %");
  const reached = new Set();
  await page.focus("#styles :checked");
  for (let i = 0; i < 14; i++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement.id));
  }
  for (const id of ["pick-painting", "second", "colors", "size", "format", "download", "pick-more"]) assert.ok(reached.has(id), id);
});

test("a page built with --webgpu paints with the graphics card what fastnst apply paints", async (t) => {
  if (!process.env.WEBGPU && !(await hasCard())) return t.skip("SKIPPED: there is no card; WEBGPU=1 npm test tries one made of software, in many minutes");
  const built = file("webgpu");
  execFileSync(process.execPath, [fileURLToPath(new URL("../build.mjs", import.meta.url)), built, "--webgpu"], { stdio: "inherit" });
  site = await host(built);
  const software = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
  const other = await browser(process.env.WEBGPU ? software : undefined);
  t.after(() => other.close());
  context = await other.newContext({ serviceWorkers: "block" });
  const page = await visit(context, site.url);
  if (!(await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter())))) {
    return t.skip("SKIPPED: this Chromium has no WebGPU, SwiftShader's neither");
  }
  await page.waitForSelector("body[data-device=webgpu]", { timeout: 900_000 });
  assert.match(await page.textContent("#engine"), /the graphics card/);
  await as(page, "#format", "image/png");
  await as(page, "#size", "0");
  await style(page, "udnie");
  await page.setInputFiles("#pick", file("coffee.png"));
  await painted(page, 900_000);
  const { data } = await downloaded(page, "#download");
  const difference = await apart(page, data, readFileSync(file("coffee-udnie.png")));
  assert.ok(difference.largest <= 2, JSON.stringify(difference));
  assert.equal(await page.$eval("body", (body) => body.dataset.device), "webgpu"); // it did not fall back meanwhile
  assert.deepEqual(page.faults, []);
});

for (const [name, options] of Object.entries({
  "a desktop, light": { colorScheme: "light" },
  "a desktop, dark": { colorScheme: "dark" },
  "a phone, light": { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, colorScheme: "light" },
  "a phone, dark": { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, colorScheme: "dark" },
})) {
  test(`axe finds nothing, and nothing is wider than the window: ${name}`, async () => {
    const page = await fresh("", { ...options, bypassCSP: true });
    for (const step of ["empty", "painted"]) {
      if (step === "painted") {
        await page.setInputFiles("#pick", [file("coffee.png"), file("chelsea.jpg")]);
        await painted(page);
        await page.selectOption("#second", { label: "Scream" });
        await painted(page);
      }
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => axe.run());
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], step);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, step);
    }
    if (process.env.SCREENSHOTS) {
      await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name.replace(/^a /, "").replace(", ", "-")}.png`), fullPage: true });
    }
  });
}
