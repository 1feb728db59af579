// The service worker: the page without a network, and threads where the host does not isolate the page.

const RELOADED = "fastnst-reloaded";

/** Has the service worker keep what was not needed so far. */
export async function keepTheRest(): Promise<void> {
  if (!("serviceWorker" in navigator) || import.meta.env.DEV) return;
  (await navigator.serviceWorker.ready).active?.postMessage("later");
}

export function isolate(): void {
  if (!("serviceWorker" in navigator) || import.meta.env.DEV) return;
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    // Once, and not while somebody works: threads come with the next visit then.
    const idle = document.getElementById("viewer")!.hidden && document.querySelector("dialog[open]") === null;
    if (crossOriginIsolated || !idle || sessionStorage.getItem(RELOADED)) return;
    sessionStorage.setItem(RELOADED, "1");
    location.reload();
  });
  void navigator.serviceWorker.ready.then(() => {
    document.getElementById("offline")!.hidden = false;
  });
  navigator.serviceWorker.register("service-worker.js").catch(() => {
    // Not over plain HTTP of another machine: the page works, with one thread and a network.
  });
}
