// Keeps the page for use without a network, and isolates it where the host sets no headers, which threads need.
const own = `fastnst-${self.registration.scope}-`; // a host may have the page in several folders
const cacheName = `${own}774b1857d1228155`;
const files = [
 "./",
 "THIRD_PARTY.txt",
 "assets/index.css",
 "assets/index.js",
 "assets/painter.js",
 "handle.svg",
 "icon.svg",
 "network/measure.onnx",
 "network/network.json",
 "network/tile.onnx",
 "network/weights.bin",
 "network/whole.onnx",
 "ort/ort-wasm-simd-threaded.js",
 "ort/ort.wasm.min.js",
 "ort/runtime.bin",
 "styles/composition_vii.jpg",
 "styles/delaunay_portrait.jpg",
 "styles/edtaonisl.jpg",
 "styles/great_wave.jpg",
 "styles/mondrian.jpg",
 "styles/night_cafe.jpg",
 "styles/scream.jpg",
 "styles/shipwreck.jpg",
 "styles/starry_night.jpg",
 "styles/udnie.jpg",
 "styles/wheat_field.jpg",
 "styles/woman_with_hat.jpg"
];
const later = [
 "any/measure.onnx",
 "any/network.json",
 "any/predict.onnx",
 "any/tile.onnx",
 "any/weights.bin",
 "any/whole.onnx"
]; // kept when the page is at work: what its first picture does not need
const index = new URL("index.html", self.location).pathname;

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(cacheName);
      await cache.addAll(fresh(files));
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener("message", (event) => {
  if (event.data !== "later") return;
  event.waitUntil(
    (async () => {
      const cache = await caches.open(cacheName);
      const there = await Promise.all(later.map((name) => cache.match(name)));
      await cache.addAll(fresh(later.filter((_, i) => there[i] === undefined)));
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        if (name.startsWith(own) && name !== cacheName) await caches.delete(name);
      }
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== self.location.origin) return;
  const wanted = pathname === index ? "./" : request; // the page is kept under one of its two names
  event.respondWith(
    (async () => {
      const cache = await caches.open(cacheName);
      const found = (await cache.match(wanted, { ignoreSearch: true })) ?? (await fetch(request));
      return found.status === 0 ? found : isolated(found);
    })(),
  );
});

function fresh(names) {
  return names.map((name) => new Request(name, { cache: "no-cache" }));
}

function isolated(response) {
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  headers.set("Content-Security-Policy", "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; style-src 'self'; img-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'");
  if (!headers.has("Permissions-Policy")) headers.set("Permissions-Policy", "camera=(self), display-capture=(), geolocation=(), microphone=()");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
