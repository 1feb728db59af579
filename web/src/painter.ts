// The worker: paints one photo at a time, as a whole or in tiles with the statistics of the whole.

import { cut, pieces, widened, type Box } from "./boxes";
import { encoded, Picture, type Preview } from "./picture";
import type { Reply, Request } from "./protocol";
import { Runtime } from "./runtime";

const SMALLEST = 16; // pixels; what the network takes
const SIDE = 1024; // pixels, of a tile

const base = new URL(/* @vite-ignore */ "../", import.meta.url);
const loading = Runtime.load(base);
let picture: Picture | undefined;
let preview: Preview | undefined;

loading.then(
  (runtime) => say({ kind: "loaded", threads: runtime.threads }),
  (error) => say({ kind: "failed", message: `the painter could not be loaded: ${reason(error)}` }),
);

self.onmessage = async ({ data }: MessageEvent<Request>) => {
  try {
    await answer(data);
  } catch (error) {
    say({ kind: "failed", message: reason(error) });
  }
};

async function answer(request: Request): Promise<void> {
  if (request.kind === "paint") {
    picture?.close();
    picture = preview = undefined;
    picture = await decoded(request.photo, request.longest);
    await paint(picture, request.row, request.tile);
    preview = await picture.preview();
    const before = await createImageBitmap(preview.photo);
    say({ kind: "before", bitmap: before, width: picture.width, height: picture.height }, [before]);
  }
  if (picture === undefined || preview === undefined) throw new Error("there is no picture yet");
  if (request.kind === "encode") {
    say({ kind: "encoded", blob: await encoded(picture.finished(request.look), request.type) });
  } else {
    const after = await preview.finished(request.look);
    say({ kind: "after", bitmap: after }, [after]);
  }
}

async function decoded(photo: Blob, longest: number): Promise<Picture> {
  let found: Picture;
  try {
    found = await Picture.of(photo, longest);
  } catch (error) {
    if (error instanceof RangeError) throw error;
    throw new Error("this is not a picture that the browser can read");
  }
  if (Math.min(found.width, found.height) < SMALLEST) throw new Error(`a photo has at least ${SMALLEST} pixels a side`);
  return found;
}

async function paint(photo: Picture, row: number[], tile: number): Promise<void> {
  const runtime = await loading;
  const { network } = runtime;
  const style = runtime.tensor(Float32Array.from(row), [1, row.length]);
  const everything = { x: 0, y: 0, width: photo.width, height: photo.height };
  const measured = network.pieces * network.piece ** 2; // pixels; more are painted in tiles
  if (tile === 0 && photo.width * photo.height <= measured) {
    say({ kind: "progress", done: 0, total: 1 });
    const image = runtime.tensor(planes(photo, [everything]), [1, 3, photo.height, photo.width]);
    const { stylized } = await runtime.run("whole", { image, style });
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
  const whole = await runtime.run("measure", { image, style });
  const statistics = { statistics: whole.statistics!, contrast: whole.contrast! };
  for (const [index, box] of boxes.entries()) {
    say({ kind: "progress", done: index + 1, total: boxes.length + 1 });
    const seen = widened(box, network.reach, photo.width, photo.height, network.stride);
    const part = runtime.tensor(planes(photo, [seen]), [1, 3, seen.height, seen.width]);
    const { stylized } = await runtime.run("tile", { image: part, style, ...statistics });
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
