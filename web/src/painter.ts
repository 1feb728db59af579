// The worker: paints one photo at a time, as a whole or in tiles with the statistics of the whole.

import { cut, pieces, widened, type Box } from "./boxes";
import { Painting } from "./painting";
import { encoded, Picture, type Preview } from "./picture";
import type { Reply, Request, Style } from "./protocol";
import { Runtime } from "./runtime";

const SMALLEST = 16; // pixels; what the network takes
const WHOLE = 4_200_000; // pixels; a photo with more is painted in tiles
const SIDE = 1024; // pixels, of a tile
const THUMBNAIL = 160; // pixels, side of the picture of a painting

const base = new URL(/* @vite-ignore */ "../", import.meta.url);
let begin: (runtime: Promise<Runtime>) => void;
const loading = new Promise<Runtime>((resolve) => (begin = resolve));
let picture: Picture | undefined;
let preview: Preview | undefined;

async function start(threads: number, device: string): Promise<void> {
  begin(Runtime.load(base, threads));
  try {
    const runtime = await loading;
    const loaded = () => say({ kind: "loaded", threads: runtime.threads, device: runtime.device });
    loaded();
    if (__WEBGPU__ && device !== "wasm") {
      await runtime.useGraphicsCard(base).catch((error) => console.info(`no graphics card: ${reason(error)}`));
      if (runtime.device === "webgpu") loaded();
    }
  } catch (error) {
    say({ kind: "unloaded", message: `The painter could not be loaded: ${reason(error)}` });
  }
}

self.onmessage = async ({ data }: MessageEvent<Request>) => {
  if (data.kind === "begin") return start(data.threads, data.device);
  try {
    await answer(data);
  } catch (error) {
    say({ kind: "failed", message: reason(error) });
  }
};

async function answer(request: Exclude<Request, { kind: "begin" }>): Promise<void> {
  if (request.kind === "predict") {
    await predict(request.painting);
    return;
  }
  let seconds = 0;
  if (request.kind === "paint") {
    picture?.close();
    picture = preview = undefined;
    picture = await decoded(request.photo, request.longest);
    await loading;
    const started = performance.now();
    await paint(picture, request.style, request.tile);
    seconds = (performance.now() - started) / 1000;
    preview = await picture.preview();
    const before = await createImageBitmap(preview.photo);
    say({ kind: "before", bitmap: before, width: picture.width, height: picture.height }, [before]);
  }
  if (picture === undefined || preview === undefined) throw new Error("there is no picture yet");
  if (request.kind === "encode") {
    say({ kind: "encoded", blob: await encoded(picture.finished(request.look), request.type) });
  } else {
    const after = await preview.finished(request.look);
    say({ kind: "after", bitmap: after, seconds }, [after]);
  }
}

/** Tells the numbers of a style from a painting. */
async function predict(file: Blob): Promise<void> {
  const painting = await readable(Painting.of(file, THUMBNAIL));
  const runtime = await loading;
  const { painting_side: side = 256, smallest_painting: least = 32 } = await runtime.network("any");
  const { values, width, height } = painting.planes(side, least);
  const inputs = { painting: runtime.tensor(values, [1, 3, height, width]) };
  const { style } = await runtime.run("any", "predict", inputs);
  const { thumbnail } = painting;
  say({ kind: "predicted", row: [...(style!.data as Float32Array)], thumbnail }, [thumbnail]);
}

async function readable<Kind>(decoding: Promise<Kind>): Promise<Kind> {
  try {
    return await decoding;
  } catch (error) {
    if (error instanceof RangeError) throw error;
    throw new Error("this is not a picture that the browser can read");
  }
}

async function decoded(photo: Blob, longest: number): Promise<Picture> {
  const found = await readable(Picture.of(photo, longest));
  if (Math.min(found.width, found.height) < SMALLEST) throw new Error(`a photo has at least ${SMALLEST} pixels a side`);
  return found;
}

async function paint(photo: Picture, { folder, row }: Style, tile: number): Promise<void> {
  const runtime = await loading;
  const network = await runtime.network(folder);
  const style = runtime.tensor(Float32Array.from(row), [1, row.length]);
  const everything = { x: 0, y: 0, width: photo.width, height: photo.height };
  if (tile === 0 && photo.width * photo.height <= WHOLE) {
    say({ kind: "progress", done: 0, total: 1 });
    const image = runtime.tensor(planes(photo, [everything]), [1, 3, photo.height, photo.width]);
    const { stylized } = await runtime.run(folder, "whole", { image, style });
    photo.keep(everything, stylized!.data as Float32Array, everything);
    return;
  }
  if (Math.min(photo.width, photo.height) < network.piece) {
    throw new Error(`a photo of this length has at least ${network.piece} pixels on its other side`);
  }
  const boxes = cut(photo.width, photo.height, tile || SIDE);
  say({ kind: "progress", done: 0, total: boxes.length + 1 });
  const count = Math.min(network.pieces, Math.floor((photo.width * photo.height) / network.piece ** 2));
  const squares = pieces(photo.width, photo.height, count, network.piece);
  const image = runtime.tensor(planes(photo, squares), [squares.length, 3, network.piece, network.piece]);
  const whole = await runtime.run(folder, "measure", { image, style });
  const statistics = { statistics: whole.statistics!, contrast: whole.contrast! };
  for (const [index, box] of boxes.entries()) {
    say({ kind: "progress", done: index + 1, total: boxes.length + 1 });
    const seen = widened(box, network.reach, photo.width, photo.height, network.stride);
    const part = runtime.tensor(planes(photo, [seen]), [1, 3, seen.height, seen.width]);
    const { stylized } = await runtime.run(folder, "tile", { image: part, style, ...statistics });
    photo.keep(box, stylized!.data as Float32Array, seen);
  }
}

/** Boxes of one size as floats from 0 to 1: all red, all green, all blue of the first, then of the next. */
function planes(photo: Picture, boxes: Box[]): Float32Array {
  const size = boxes[0]!.width * boxes[0]!.height;
  const values = new Float32Array(boxes.length * 3 * size);
  for (const [index, box] of boxes.entries()) {
    const { data } = photo.read(box);
    const start = index * 3 * size;
    for (let i = 0; i < size; i++) {
      values[start + i] = data[4 * i]! / 255;
      values[start + size + i] = data[4 * i + 1]! / 255;
      values[start + 2 * size + i] = data[4 * i + 2]! / 255;
    }
  }
  return values;
}

function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const memory = error instanceof RangeError || /alloc|memory|OrtRun|out of bounds/i.test(text);
  return memory ? "there is not enough memory for this size: choose a smaller one" : text;
}

function say(reply: Reply, given: Transferable[] = []): void {
  self.postMessage(reply, { transfer: given });
}
