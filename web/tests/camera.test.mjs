// The camera of the built page, with cameras that Chromium makes up: npm test. CHROMIUM names a browser.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { browser, downloaded, host, painted, visit } from "./site.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = [
  ...(process.env.CHROMIUM_FLAGS?.split(" ") ?? []),
  "--use-fake-device-for-media-stream=device-count=2",
  "--host-resolver-rules=MAP elsewhere.test 127.0.0.1",
];
let site, chrome, context;

before(async () => {
  chrome = await browser(FLAGS);
});

after(() => chrome?.close());

afterEach(async () => {
  await context?.close();
  site?.close();
});

/** Remembers all streams that the page was given, and the pictures that it decodes for thumbnails. */
function remember() {
  window.streams = [];
  window.decoded = [];
  const devices = navigator.mediaDevices;
  const get = devices?.getUserMedia.bind(devices);
  if (devices) devices.getUserMedia = async (wanted) => streams[streams.push(await get(wanted)) - 1];
  const make = window.createImageBitmap;
  window.createImageBitmap = (file, ...more) => {
    decoded.push(file);
    return make(file, ...more);
  };
}

/** A page on a host of its own, which may use the camera. */
async function fresh({ permissions = ["camera"], script, headers = {}, ...options } = {}) {
  site = await host();
  site.state.headers = headers;
  context = await chrome.newContext({ viewport: { width: 1280, height: 860 }, permissions, serviceWorkers: "block", ...options });
  await context.addInitScript(remember);
  if (script) await context.addInitScript(script);
  const page = await visit(context, site.url);
  await page.selectOption("#size", "1024");
  return page;
}

const ready = (page) => page.waitForSelector("#shutter[aria-disabled=false]");
const states = (page) => page.evaluate(() => streams.flatMap((stream) => stream.getTracks().map(({ readyState }) => readyState)));
const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.className);

async function opened(page) {
  await page.click(".camera:visible");
  await ready(page);
}

async function told(page) {
  await page.waitForSelector("#error:visible");
  assert.ok(await page.isHidden("#camera"));
  return (await page.textContent("#error")).trim();
}

test("a photo taken with the camera is painted as a file is, in all pixels of the camera, and stays on the machine", async () => {
  const page = await fresh({ serviceWorkers: "allow" });
  await page.waitForFunction(() => crossOriginIsolated); // with all headers of the service worker
  await page.waitForSelector("body[data-ready]");
  await page.selectOption("#size", "1024");
  const policy = await page.evaluate(async () => (await fetch("./")).headers.get("Permissions-Policy"));
  assert.match(policy, /^camera=\(self\),.* microphone=\(\)$/);
  const asked = [];
  context.on("request", (request) => asked.push(request));
  await opened(page);
  assert.deepEqual(await states(page), ["live"]);
  const began = new Date();
  await page.click("#shutter");
  assert.ok(await page.isHidden("#camera"));
  assert.deepEqual(await states(page), ["ended"]);
  await painted(page);
  const photo = await page.evaluate(async () => {
    const { name, type } = decoded[0];
    const { width, height } = await createImageBitmap(decoded[0]);
    return { name, type, width, height };
  });
  const { width, height } = await page.evaluate(() => streams[0].getVideoTracks()[0].getCapabilities());
  assert.deepEqual([photo.type, photo.width, photo.height], ["image/jpeg", width.max, height.max]);
  const [, date, time] = /^camera-(\d{4}-\d\d-\d\d)-(\d{6})\.jpg$/.exec(photo.name);
  const taken = new Date(`${date}T${time.match(/../g).join(":")}`); // local time
  assert.ok(taken - began > -1000 && taken - began < 30_000, `${photo.name} ${began}`);
  assert.match(await page.textContent("#status"), /^camera-.*\.jpg is painted: 1024 × 576\u00a0px/);
  assert.equal((await downloaded(page, "#download")).name, photo.name.replace(".jpg", "-starry_night.jpg"));

  await page.$eval("#status", (status) => (status.textContent = ""));
  await opened(page); // a second one is added to the first
  await page.click("#shutter");
  await painted(page);
  assert.equal(await page.locator("#photos li").count(), 2);
  for (const request of asked.filter((each) => !each.url().startsWith("blob:"))) {
    assert.ok(request.url().startsWith(site.url), request.url());
    assert.deepEqual([request.method(), request.postData()], ["GET", null]);
  }
  assert.deepEqual(page.faults, []);
});

test("the camera is off after cancel, Escape, another tab, leaving, and where it comes too late", async () => {
  const page = await fresh();
  const ways = {
    cancel: () => page.click("#camera-cancel"),
    escape: () => page.keyboard.press("Escape"),
    hidden: () =>
      page.evaluate(() => {
        Object.defineProperty(document, "hidden", { value: true, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
        delete document.hidden;
      }),
    left: () => page.evaluate(() => void dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }))),
  };
  for (const [way, go] of Object.entries(ways)) {
    await opened(page);
    assert.equal((await states(page)).at(-1), "live", way);
    await go();
    await page.waitForFunction(() => streams.at(-1).getTracks().every(({ readyState }) => readyState === "ended"));
    assert.ok(await page.isHidden("#camera"), way);
    assert.equal(await page.$eval("#preview", (video) => video.srcObject), null);
    assert.equal(await focused(page), "camera", way); // the button that opened the dialog
  }
  assert.equal((await states(page)).length, 4);

  for (const late of ["cancelled", "hidden"]) {
    await page.evaluate(() => {
      const get = navigator.mediaDevices.getUserMedia;
      navigator.mediaDevices.getUserMedia = async (wanted) => {
        await new Promise((resolve) => (window.answer = resolve)); // as if somebody thought about the permission
        navigator.mediaDevices.getUserMedia = get;
        return get(wanted);
      };
    });
    await page.click(".camera:visible");
    assert.equal(await page.textContent("#camera-status"), "Starting the camera …");
    await page.keyboard.press("Enter"); // takes nothing yet
    assert.ok(await page.isVisible("#camera"));
    if (late === "cancelled") await page.click("#camera-cancel");
    else await page.evaluate(() => Object.defineProperty(document, "hidden", { value: true, configurable: true }));
    await page.evaluate(() => answer());
    await page.waitForFunction(() => streams.at(-1).getTracks().every(({ readyState }) => readyState === "ended"));
    await page.waitForSelector("#camera", { state: "hidden" });
    await page.evaluate(() => delete document.hidden);
  }
  assert.equal((await states(page)).length, 6);
  assert.ok(await page.isHidden("#error"));
  assert.equal(await page.locator("#photos li").count(), 0);
  assert.deepEqual(page.faults, []);
});

test("a camera that is denied, used by another program, unplugged or not there is told in a line", async () => {
  const page = await fresh({ permissions: [] });
  await page.click(".camera:visible");
  assert.match(await told(page), /^This page may not use the camera\. Allow it/);
  assert.equal(await focused(page), "camera");
  for (const [name, line] of Object.entries({
    NotFoundError: "No camera was found.",
    NotReadableError: "The camera could not be started: another program may be using it.",
    UnknownError: "The camera could not be started: of old age",
  })) {
    await page.evaluate((name) => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("of old age", name));
    }, name);
    await page.click(".camera:visible");
    await page.waitForFunction((line) => document.getElementById("error").textContent === line, line);
    assert.equal(await told(page), line);
  }
  assert.deepEqual(page.faults, []);
  await context.close();

  const next = await visit((context = await withCamera()), site.url);
  await next.evaluate(() => (document.getElementById("error").hidden = false));
  await opened(next);
  assert.ok(await next.isHidden("#error")); // a line of before is gone
  await next.evaluate(() => streams[0].getVideoTracks()[0].dispatchEvent(new Event("ended")));
  assert.match(await told(next), /^The camera has stopped/);
  assert.deepEqual(await states(next), ["ended"]);

  const none = await browser([...FLAGS.slice(0, -2), "--use-fake-device-for-media-stream=device-count=0"]);
  try {
    const without = await visit(await none.newContext({ permissions: ["camera"] }), site.url);
    await without.click(".camera:visible");
    assert.equal(await told(without), "No camera was found.");
  } finally {
    await none.close();
  }
});

async function withCamera() {
  const context = await chrome.newContext({ permissions: ["camera"], serviceWorkers: "block" });
  await context.addInitScript(remember);
  return context;
}

test("all of the place for photos asks for files, but not its button for the camera", async () => {
  const page = await fresh();
  let choosers = 0;
  page.on("filechooser", () => choosers++);
  const place = await page.locator("#start").boundingBox();
  const text = await page.locator("#drop strong").boundingBox();
  for (const { x, y } of [place, { x: place.x + place.width - 20, y: place.y + place.height - 20 }, text]) {
    await Promise.all([page.waitForEvent("filechooser"), page.mouse.click(x + 10, y + 10)]);
  }
  await opened(page);
  assert.equal(choosers, 3);
});

test("a host that forbids the camera is obeyed", async () => {
  const page = await fresh({ serviceWorkers: "allow", headers: { "permissions-policy": "camera=()" } });
  await page.waitForFunction(() => crossOriginIsolated);
  await page.waitForSelector("body[data-ready]");
  await page.click(".camera:visible");
  assert.match(await told(page), /^This page may not use the camera/);
});

test("without a camera interface, as over plain HTTP, there is no button", async () => {
  await fresh();
  const page = await visit(context, site.url.replace("127.0.0.1", "elsewhere.test"));
  assert.equal(await page.evaluate(() => isSecureContext), false);
  assert.equal(await page.locator(".camera:visible").count(), 0);
  assert.ok(await page.isVisible("#drop"));
  await page.evaluate(() => (document.getElementById("more").hidden = false)); // the place beside "Add photos"
  assert.equal(await page.locator(".camera:visible").count(), 0);
});

test("another camera can be chosen, and the first one is off then", async () => {
  const page = await fresh();
  await opened(page);
  await page.waitForSelector("#cameras:visible");
  const names = await page.$$eval("#camera-choice option", (all) => all.map(({ text }) => text));
  assert.deepEqual(names.map((name) => /^fake_device_\d$/.test(name)), [true, true]);
  const label = () => page.evaluate(() => streams.at(-1).getVideoTracks()[0].label);
  const shown = () => page.$eval("#camera-choice", (select) => select.selectedOptions[0].text);
  const before = await label();
  assert.equal(await shown(), before);
  await page.selectOption("#camera-choice", { label: names.find((name) => name !== before) });
  await page.waitForFunction(() => streams.length === 2);
  await ready(page);
  assert.deepEqual(await states(page), ["ended", "live"]);
  assert.notEqual(await label(), before);
  assert.equal(await shown(), await label());
  await page.click("#camera-cancel");
  await opened(page); // it is remembered
  assert.equal(await shown(), await label());
  assert.notEqual(await label(), before);
});

for (const facing of ["user", "environment"]) {
  test(`the preview is mirrored only for a camera that faces its user, the photo never: ${facing}`, async () => {
    const page = await fresh({
      script: `navigator.mediaDevices.getUserMedia = async () => {
        const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
        const context = canvas.getContext("2d");
        const draw = () => {
          for (const [color, x] of [["#f00", 0], ["#00f", 160]]) Object.assign(context, { fillStyle: color }).fillRect(x, 0, 160, 240);
        };
        draw();
        setInterval(draw, 50);
        const stream = canvas.captureStream();
        const track = stream.getVideoTracks()[0];
        const settings = track.getSettings.bind(track);
        track.getSettings = () => ({ ...settings(), facingMode: "${facing}" });
        return stream;
      };`,
    });
    await opened(page);
    const transform = await page.$eval("#preview", (video) => getComputedStyle(video).transform);
    assert.equal(transform, facing === "user" ? "matrix(-1, 0, 0, 1, 0, 0)" : "none");
    await page.click("#shutter");
    await painted(page);
    const [left, right] = await page.evaluate(async () => {
      const bitmap = await createImageBitmap(decoded[0]);
      const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
      context.drawImage(bitmap, 0, 0);
      return [20, 300].map((x) => [...context.getImageData(x, 120, 1, 1).data]);
    });
    assert.ok(left[0] > 200 && left[2] < 60 && right[0] < 60 && right[2] > 200, `${left} ${right}`);
  });
}

test("a keyboard is enough for the camera", async () => {
  const page = await fresh();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "camera");
  await page.keyboard.press("Enter");
  assert.equal(await focused(page), "shutter"); // before the camera is there, too
  await ready(page);
  assert.equal(await focused(page), "shutter");
  const reached = new Set();
  for (let i = 0; i < 6; i++) {
    await page.keyboard.press("Tab");
    reached.add(await focused(page));
  }
  for (const id of ["camera-choice", "camera-cancel", "shutter"]) assert.ok(reached.has(id), id);
  for (const id of ["pick", "strength", "second"]) assert.ok(!reached.has(id), id);
  await page.keyboard.press("Escape");
  assert.ok(await page.isHidden("#camera"));
  assert.equal(await focused(page), "camera");
  for (const [count, key] of [[1, "Space"], [2, "Enter"]]) {
    await page.focus(".camera:visible");
    await page.keyboard.press(key);
    await ready(page);
    await page.keyboard.press(key);
    await page.waitForFunction((count) => document.querySelectorAll("#photos li").length === count, count);
    await painted(page);
    assert.equal(await focused(page), count === 1 ? "split" : "camera"); // the first button went with its place
    await page.$eval("#status", (status) => (status.textContent = ""));
  }
  assert.deepEqual(page.faults, []);
});

test("the page does not load itself again for threads while the camera is open", async () => {
  const page = await fresh();
  const loadedAgain = async () => {
    await page.evaluate(() => {
      window.here = true;
      navigator.serviceWorker.dispatchEvent(new Event("controllerchange"));
    });
    await page.waitForTimeout(300);
    await page.waitForSelector("body[data-ready]");
    return !(await page.evaluate(() => window.here === true));
  };
  await opened(page);
  assert.equal(await loadedAgain(), false);
  assert.ok(await page.isVisible("#camera"));
  await page.click("#camera-cancel");
  assert.equal(await loadedAgain(), true);
});

const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
for (const [name, options] of Object.entries({
  "a desktop, light": { colorScheme: "light" },
  "a desktop, dark": { colorScheme: "dark" },
  "a phone, light": { ...phone, colorScheme: "light" },
  "a phone, dark": { ...phone, colorScheme: "dark" },
  "a phone on its side, light": { ...phone, viewport: { width: 740, height: 360 }, colorScheme: "light" },
})) {
  test(`axe finds nothing in the camera's dialog, and all of it is in the window: ${name}`, async () => {
    const page = await fresh({ ...options, bypassCSP: true });
    const picture = async (step) => {
      if (!process.env.SCREENSHOTS) return;
      await page.screenshot({ path: join(process.env.SCREENSHOTS, `camera-${name.replace(/^a /, "").replaceAll(/,? /g, "-")}-${step}.png`) });
    };
    await picture("before");
    await opened(page);
    await page.waitForSelector("#cameras:visible");
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => axe.run());
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), []);
    const outside = await page.$eval("#camera", (dialog) => {
      const place = dialog.getBoundingClientRect();
      const isIn = ({ left, top, right, bottom }, other) =>
        left >= other.left && top >= other.top && right <= other.right && bottom <= other.bottom;
      const parts = [...dialog.querySelectorAll("h2, video, p, label, select, button")];
      const found = parts.filter((each) => !isIn(each.getBoundingClientRect(), place)).map(({ outerHTML }) => outerHTML);
      if (!isIn(place, { left: 0, top: 0, right: innerWidth, bottom: innerHeight })) found.push("the dialog");
      if (dialog.scrollHeight > dialog.clientHeight) found.push("what is scrolled to");
      return found;
    });
    assert.deepEqual(outside, []);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
    await picture("dialog");
    if (!process.env.SCREENSHOTS) return;
    await page.click("#shutter");
    await painted(page);
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await picture("painted");
  });
}
