// The page: photos in, a look chosen, pictures out.

import { Painter, Stopped } from "./client";
import { zipped } from "./archive";
import { isolate } from "./isolation";
import type { Look, Network, Reply } from "./protocol";

interface Photo {
  file: File;
  button: HTMLButtonElement;
}

const $ = <Kind extends HTMLElement>(id: string): Kind => document.getElementById(id) as Kind;
const input = (id: string): HTMLInputElement => $<HTMLInputElement>(id);
const tile = Number(new URLSearchParams(location.search).get("tile") ?? 0); // side of tiles, to compare with the whole

const photos: Photo[] = [];
let current: Photo | undefined;
let names: string[] = [];
let size = { width: 0, height: 0 };
let painted = false; // whether the worker holds the current photo
const painter = new Painter(watch);

function watch(reply: Reply): void {
  if (reply.kind === "loaded") {
    const threads = reply.threads > 1 ? `${reply.threads} threads` : "one thread";
    $("engine").textContent = `Painting with ${threads} of this device’s processor.`;
    document.body.dataset.ready = "true";
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
  } else if (reply.kind === "failed" && !painter.busy && !current) {
    complain(reply.message);
  }
}

function show(id: "before" | "after", bitmap: ImageBitmap): void {
  const canvas = $<HTMLCanvasElement>(id);
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d")!.drawImage(bitmap, 0, 0);
  bitmap.close();
}

function say(text: string): void {
  $("status").textContent = text;
}

function complain(text: string): void {
  $("error").textContent = text;
  $("error").hidden = text === "";
}

function look(): Look {
  return { strength: Number(input("strength").value) / 100, keepColors: input("colors").checked };
}

function row(): number[] {
  const first = Number(document.querySelector<HTMLInputElement>("#styles :checked")!.value);
  const second = Number($<HTMLSelectElement>("second").value);
  const share = second >= 0 ? Number(input("mix").value) / 100 : 0;
  return names.map((_, i) => (i === first ? 1 - share : 0) + (i === second ? share : 0));
}

function working(on: boolean): void {
  $("work").hidden = !on;
  $<HTMLButtonElement>("download").disabled = on || !painted;
  $<HTMLButtonElement>("zip").disabled = on;
  if (on) $("progress").removeAttribute("value");
}

function request(photo: Photo) {
  const longest = Number($<HTMLSelectElement>("size").value);
  return { kind: "paint" as const, photo: photo.file, row: row(), longest, tile, look: look() };
}

async function paint(): Promise<void> {
  const photo = current;
  if (photo === undefined || names.length === 0) return;
  painted = false;
  complain("");
  $("drop").hidden = true;
  $("viewer").hidden = false;
  working(true);
  say(document.body.dataset.ready ? "Painting …" : "Loading the painter …");
  try {
    const reply = await painter.ask(request(photo));
    if (reply.kind !== "after") return;
    show("after", reply.bitmap);
    painted = true;
    $("frame").classList.add("painted");
    say(`${photo.file.name} is painted: ${size.width} × ${size.height}\u00a0px`);
    working(false);
  } catch (error) {
    if (photo === current && !painter.busy) failed(photo, error);
  }
}

function failed(photo: Photo, error: unknown): void {
  working(false);
  say(error instanceof Stopped ? "Stopped. Choose a style to paint again." : "");
  if (error instanceof Stopped) return;
  complain(`${photo.file.name}: ${(error as Error).message}`);
  if (!$("frame").classList.contains("painted")) {
    $("viewer").hidden = true;
    $("drop").hidden = false;
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
  const found = [...files].filter((file) => file.type.startsWith("image/") || file.type === "");
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
  for (const photo of added) void thumbnail(photo);
  $("photos").hidden = $("zip").hidden = photos.length < 2;
  $("more").hidden = false;
  choose(added[0]!);
}

async function thumbnail({ file, button }: Photo): Promise<void> {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 144;
  try {
    const bitmap = await createImageBitmap(file);
    const side = Math.min(bitmap.width, bitmap.height);
    const [x, y] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2];
    canvas.getContext("2d")!.drawImage(bitmap, x, y, side, side, 0, 0, 144, 144);
    bitmap.close();
  } catch {
    button.textContent = "?";
    complain(`${file.name}: this is not a picture that the browser can read`);
    return;
  }
  button.append(canvas);
}

function choose(photo: Photo): void {
  current = photo;
  for (const each of photos) each.button.setAttribute("aria-current", String(each === photo));
  void paint();
}

function name(photo: Photo, type: string): string {
  const style = names[row().indexOf(Math.max(...row()))]!;
  return `${photo.file.name.replace(/\.[^.]*$/, "")}-${style}.${type === "image/png" ? "png" : "jpg"}`;
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
    failed(photo, error);
  }
}

async function downloadAll(): Promise<void> {
  const type = $<HTMLSelectElement>("format").value;
  const missed: string[] = [];
  const files: { name: string; blob: Blob }[] = [];
  working(true);
  painted = false;
  try {
    for (const [index, photo] of photos.entries()) {
      say(`Painting ${index + 1} of ${photos.length} …`);
      try {
        await painter.ask(request(photo));
        working(true);
        const reply = await painter.ask({ kind: "encode", look: look(), type });
        if (reply.kind === "encoded") files.push({ name: name(photo, type), blob: reply.blob });
      } catch (error) {
        if (error instanceof Stopped) throw error;
        missed.push(`${photo.file.name}: ${(error as Error).message}`);
      }
    }
    if (files.length > 0) save(await zipped(files), "fastnst.zip");
    say(`${files.length} of ${photos.length} pictures are in fastnst.zip`);
    complain(missed.join("; "));
  } catch {
    say("Stopped.");
  }
  current = photos.at(-1); // which the worker holds, unless it failed
  for (const each of photos) each.button.setAttribute("aria-current", String(each === current));
  working(false);
}

function offer(styles: string[]): void {
  names = styles;
  const second = $<HTMLSelectElement>("second");
  second.append(new Option("no other style", "-1"));
  for (const [index, style] of styles.entries()) {
    const title = style.replaceAll("_", " ").replace(/^.|\bvii$/g, (part) => part.toUpperCase());
    const label = document.createElement("label");
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: "style", value: String(index) });
    radio.checked = style === "starry_night";
    const image = Object.assign(document.createElement("img"), { src: `styles/${style}.jpg`, alt: "", width: 160, height: 160 });
    const text = document.createElement("span");
    text.textContent = title;
    label.append(radio, image, text);
    $("styles").append(label);
    second.append(new Option(title, String(index)));
  }
  const strip = $("styles");
  const chosen = strip.querySelector<HTMLElement>("label:has(:checked)")!;
  strip.scrollLeft = chosen.offsetLeft - (strip.clientWidth - chosen.offsetWidth) / 2; // on a phone
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
    if (event.dataTransfer?.files.length) add(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) add(event.clipboardData.files);
  });
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("styles").addEventListener("change", () => void paint());
  $("second").addEventListener("change", () => {
    const second = $<HTMLSelectElement>("second");
    $("mixing").hidden = second.value === "-1";
    $("mix-name").textContent = `Share of ${second.selectedOptions[0]!.text}`;
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
  listen();
  split();
  isolate();
  const answer = await fetch("network/network.json");
  offer(((await answer.json()) as Network).styles);
  void paint(); // of a photo that came meanwhile
}

void begin();
