// The page: photos in, a look chosen, pictures out.

import { Painter, Stopped, Unloaded } from "./client";
import { zipped } from "./archive";
import { offerCamera } from "./camera";
import { isolate, keepTheRest } from "./isolation";
import { $, complain, input, say, unloaded } from "./page";
import type { Look, Network, Reply } from "./protocol";
import { areOffered, offer, offerMixing, offerStyles, reveal, showMixing, style, styleName } from "./styles";

interface Photo {
  file: File;
  button: HTMLButtonElement;
}

const asked = new URLSearchParams(location.search); // by tests and measurements
const tile = Number(asked.get("tile") ?? 0); // side of tiles, to compare with the whole
const paintable = (file: File): boolean => file.type.startsWith("image/") || file.type === "";

const THUMBNAIL = 144; // pixels, side of the picture on a photo's button

const photos: Photo[] = [];
let thumbnails = Promise.resolve();
let current: Photo | undefined; // the chosen one
let onView: Photo | undefined; // the one that was painted last
let size = { width: 0, height: 0 };
let painted = false; // whether the worker holds the current photo
const painter = new Painter(watch, Number(asked.get("threads") ?? 0), asked.get("device") ?? "");

function watch(reply: Reply): void {
  if (reply.kind === "loaded") {
    const threads = reply.threads > 1 ? `${reply.threads} threads` : "one thread";
    const engine = reply.device === "webgpu" ? "the graphics card" : `${threads} of the processor`;
    $("engine").textContent = `Painting with ${engine} of this device.`;
    document.body.dataset.device = reply.device;
    document.body.dataset.ready = "true";
    void keepTheRest();
  } else if (reply.kind === "progress") {
    const bar = $<HTMLProgressElement>("progress");
    if (reply.total > 1) {
      bar.max = reply.total;
      bar.value = reply.done;
    } else {
      bar.removeAttribute("value");
    }
  } else if (reply.kind === "before") {
    size = { width: reply.width, height: reply.height };
    show("before", reply.bitmap);
  } else if (reply.kind === "unloaded") {
    unloaded(reply.message);
  }
}

function show(id: "before" | "after", bitmap: ImageBitmap): void {
  const canvas = $<HTMLCanvasElement>(id);
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d")!.drawImage(bitmap, 0, 0);
  bitmap.close();
}

function look(): Look {
  return { strength: Number(input("strength").value) / 100, keepColors: input("colors").checked };
}

function working(on: boolean): void {
  $("work").hidden = !on;
  $<HTMLButtonElement>("download").disabled = on || !painted;
  $<HTMLButtonElement>("zip").disabled = on;
  if (on) $("progress").removeAttribute("value");
}

function request(photo: Photo) {
  const longest = Number($<HTMLSelectElement>("size").value);
  return { kind: "paint" as const, photo: photo.file, style: style(), longest, tile, look: look() };
}

/** @param told An error that stays while it paints. */
async function paint(told = ""): Promise<void> {
  const photo = current;
  if (photo === undefined || !areOffered()) return;
  painted = false;
  complain(told);
  $("start").hidden = true;
  $("viewer").hidden = false;
  working(true);
  say(document.body.dataset.ready ? "Painting …" : "Loading the painter …");
  try {
    const reply = await painter.ask(request(photo));
    if (reply.kind !== "after") return;
    show("after", reply.bitmap);
    onView = photo;
    painted = true;
    $("frame").classList.add("painted");
    document.body.dataset.seconds = String(reply.seconds);
    say(`${photo.file.name} is painted: ${size.width} × ${size.height}\u00a0px`);
    working(false);
  } catch (error) {
    if (photo === current && !painter.busy) failed(photo, error);
  }
}

function failed(photo: Photo, error: unknown): void {
  if (error instanceof Stopped) painted = false; // a new worker holds nothing
  working(false);
  say(error instanceof Stopped ? "Stopped. Choose a style to paint again." : "");
  if (error instanceof Stopped) return;
  if (error instanceof Unloaded) unloaded(error.message);
  else complain(`${photo.file.name}: ${(error as Error).message}`);
  if (!$("frame").classList.contains("painted")) {
    $("viewer").hidden = true;
    $("start").hidden = false;
  }
}

/** Blends anew, as often as the sliders were moved meanwhile. */
async function restyle(): Promise<void> {
  if (!painted || painter.busy) return;
  const wanted = look();
  try {
    const reply = await painter.ask({ kind: "look", look: wanted });
    if (reply.kind === "after") show("after", reply.bitmap);
    if (JSON.stringify(wanted) !== JSON.stringify(look())) await restyle();
  } catch (error) {
    if (!(error instanceof Stopped)) complain((error as Error).message);
  }
}

function add(files: Iterable<File>): void {
  const found = [...files].filter(paintable);
  if (found.length === 0) {
    complain("There is no picture in what was given.");
    return;
  }
  const added = found.map((file) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", file.name);
    const photo = { file, button };
    button.addEventListener("click", () => choose(photo));
    const item = document.createElement("li");
    item.append(button);
    $("photos").append(item);
    photos.push(photo);
    return photo;
  });
  // One after the other: a photo of a camera takes 100 MB while it is decoded.
  for (const photo of added) thumbnails = thumbnails.then(() => thumbnail(photo));
  $("photos").hidden = $("zip").hidden = photos.length < 2;
  $("more").hidden = false;
  choose(added[0]!);
}

async function thumbnail({ file, button }: Photo): Promise<void> {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = THUMBNAIL;
  try {
    const bitmap = await createImageBitmap(file, { resizeWidth: 2 * THUMBNAIL }); // a wide photo is lower than that
    const side = Math.min(bitmap.width, bitmap.height);
    const [x, y] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2];
    canvas.getContext("2d")!.drawImage(bitmap, x, y, side, side, 0, 0, THUMBNAIL, THUMBNAIL);
    bitmap.close();
  } catch {
    button.textContent = "?";
    complain(`${file.name}: this is not a picture that the browser can read`);
    return;
  }
  button.append(canvas);
}

/** Paintings become styles, one after the other; the last is taken. */
async function addPaintings(files: Iterable<File>): Promise<void> {
  const found = [...files].filter(paintable);
  complain(found.length === 0 ? "There is no picture in what was given." : "");
  if (found.length === 0) return;
  const missed: string[] = [];
  const [before, interrupted] = [painted, painter.busy];
  let added = false;
  painted = false;
  for (const painting of found) {
    say(`Looking at ${painting.name} …`);
    working(true);
    try {
      const reply = await painter.ask({ kind: "predict", painting });
      if (reply.kind !== "predicted") continue;
      const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 160 });
      canvas.getContext("2d")!.drawImage(reply.thumbnail, 0, 0);
      reply.thumbnail.close();
      const title = painting.name.replace(/\.[^.]*$/, "");
      offer({ name: title, title, folder: "any", row: reply.row }, canvas).checked = added = true;
    } catch (error) {
      if (error instanceof Stopped || error instanceof Unloaded) {
        say("");
        if (error instanceof Unloaded) unloaded(error.message);
        return;
      }
      missed.push(`${painting.name}: ${(error as Error).message}`);
    } finally {
      if (!painter.busy) working(false);
    }
  }
  const told = missed.join("; ");
  say("");
  complain(told);
  if (added) {
    offerMixing();
    reveal();
  }
  if (added || interrupted) {
    void paint(told);
  } else {
    painted = before; // which the worker still holds
    working(false);
  }
}

function mark(photo: Photo): void {
  current = photo;
  for (const each of photos) each.button.setAttribute("aria-current", String(each === photo));
}

function choose(photo: Photo): void {
  mark(photo);
  void paint();
}

function name(photo: Photo, type: string): string {
  return `${photo.file.name.replace(/\.[^.]*$/, "")}-${styleName()}.${type === "image/png" ? "png" : "jpg"}`;
}

function save(blob: Blob, as: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = as;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function download(): Promise<void> {
  if (!painted || !current || painter.busy) return;
  const type = $<HTMLSelectElement>("format").value;
  const [photo, as] = [current, name(current, type)];
  working(true);
  try {
    const reply = await painter.ask({ kind: "encode", look: look(), type });
    if (reply.kind === "encoded") save(reply.blob, as);
    working(false);
  } catch (error) {
    if (!painter.busy) failed(photo, error);
  }
}

/** Paints all photos, each on view when it is finished, and saves them as a ZIP. */
async function downloadAll(): Promise<void> {
  if (!areOffered()) return;
  const type = $<HTMLSelectElement>("format").value;
  const missed: string[] = [];
  const files: { name: string; blob: Blob }[] = [];
  try {
    for (const [index, photo] of photos.entries()) {
      say(`Painting ${index + 1} of ${photos.length} …`);
      try {
        files.push({ name: name(photo, type), blob: await paintedFile(photo, type) });
      } catch (error) {
        if (error instanceof Stopped || error instanceof Unloaded) throw error;
        missed.push(`${photo.file.name}: ${(error as Error).message}`);
      }
    }
    if (files.length > 0) save(await zipped(files), "fastnst.zip");
    if (!painter.busy) await showAgain(missed.join("; "));
    if (!painter.busy) say(`${files.length} of ${photos.length} pictures are in fastnst.zip`);
  } catch (error) {
    if (painter.busy) return; // with what was asked for meanwhile
    if (onView) mark(onView);
    failed(current!, error);
  }
  if (!painter.busy) working(false);
}

/** Paints a photo and puts it on view; its result as a file. */
async function paintedFile(photo: Photo, type: string): Promise<Blob> {
  mark(photo);
  painted = false;
  working(true);
  const reply = await painter.ask(request(photo));
  if (reply.kind === "after") show("after", reply.bitmap);
  onView = photo;
  painted = true;
  const file = await painter.ask({ kind: "encode", look: look(), type });
  if (file.kind !== "encoded") throw new Error("the picture could not be saved");
  return file.blob;
}

/** The photo on view is painted once more if the worker does not hold it, because a later one failed. */
async function showAgain(told: string): Promise<void> {
  complain(told);
  if (painted || onView === undefined) return;
  mark(onView);
  await paint(told);
}

function listen(): void {
  for (const id of ["pick", "pick-more"]) {
    input(id).addEventListener("change", () => {
      if (input(id).files?.length) add(input(id).files!);
      input(id).value = "";
    });
  }
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  addEventListener("dragleave", () => document.body.classList.remove("dragging"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    const files = event.dataTransfer?.files ?? [];
    if (files.length === 0) return;
    if (event.target instanceof Element && event.target.closest("#style-box")) void addPaintings(files);
    else add(files);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) add(event.clipboardData.files);
  });
  offerCamera((photo) => {
    add([photo]);
    const pressed = document.activeElement;
    if (pressed?.closest("[hidden]")) input("split").focus({ preventScroll: true }); // the button went with its place
  });
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  input("pick-painting").addEventListener("change", () => {
    const files = [...input("pick-painting").files!];
    input("pick-painting").value = "";
    if (files.length > 0) void addPaintings(files);
  });
  $("styles").addEventListener("change", (event) => {
    if (event.target === input("pick-painting")) return;
    offerMixing();
    void paint();
  });
  $("second").addEventListener("change", () => {
    showMixing();
    void paint();
  });
  for (const id of ["mix", "size"]) $(id).addEventListener("change", () => void paint());
  for (const id of ["mix", "strength"]) {
    input(id).addEventListener("input", () => ($(`${id}-value`).textContent = `${input(id).value} %`));
  }
  for (const id of ["strength", "colors"]) $(id).addEventListener("input", () => void restyle());
  input("split").addEventListener("input", split);
  $("cancel").addEventListener("click", () => painter.stop());
  $("download").addEventListener("click", () => void download());
  $("zip").addEventListener("click", () => void downloadAll());
}

function split(): void {
  const share = Number(input("split").value);
  // The handle stays inside the picture, and the line with it.
  $("frame").style.setProperty("--split", `calc(${share}% + ${(0.5 - share / 100) * 2.75}rem)`);
  $("tag-before").hidden = share < 12;
  $("tag-after").hidden = share > 88;
}

async function begin(): Promise<void> {
  say(""); // instead of what stands there where no script runs
  listen();
  split();
  isolate();
  try {
    const answer = await fetch("network/network.json");
    if (!answer.ok) throw new Error(`the host answers ${answer.status}`);
    offerStyles(((await answer.json()) as Network).styles!);
  } catch (error) {
    unloaded(`The styles could not be loaded: ${(error as Error).message}`);
    return;
  }
  void paint(); // of a photo that came meanwhile
}

void begin();
