// A photo and its stylized image as pixels. Knows nothing of networks.

import type { Box } from "./boxes";
import type { Look } from "./protocol";

export const PREVIEW = 1600; // pixels, longest side of what is shown
const STRIP = 2 ** 22; // pixels that are blended at once

export class Picture {
  readonly painted: Uint8ClampedArray; // RGBA, full strength
  private reader = canvas(1, 1);

  constructor(readonly bitmap: ImageBitmap) {
    this.painted = new Uint8ClampedArray(bitmap.width * bitmap.height * 4);
  }

  /** Decodes a photo: turned upright, in sRGB, shrunk to `longest` pixels if that is not 0. */
  static async of(photo: Blob, longest: number): Promise<Picture> {
    const whole = await createImageBitmap(photo, { imageOrientation: "from-image", colorSpaceConversion: "default" });
    const scale = longest > 0 ? longest / Math.max(whole.width, whole.height) : 1;
    if (scale >= 1) return new Picture(whole);
    const bitmap = await createImageBitmap(whole, {
      resizeWidth: Math.max(1, Math.round(whole.width * scale)),
      resizeHeight: Math.max(1, Math.round(whole.height * scale)),
      resizeQuality: "high",
    });
    whole.close();
    return new Picture(bitmap);
  }

  get width(): number {
    return this.bitmap.width;
  }

  get height(): number {
    return this.bitmap.height;
  }

  close(): void {
    this.bitmap.close();
  }

  /** The photo's pixels in a box, RGBA. */
  read(box: Box): ImageData {
    if (this.reader.canvas.width !== box.width || this.reader.canvas.height !== box.height) {
      this.reader = canvas(box.width, box.height);
    }
    this.reader.clearRect(0, 0, box.width, box.height);
    this.reader.drawImage(this.bitmap, -box.x, -box.y);
    return this.reader.getImageData(0, 0, box.width, box.height);
  }

  /** Keeps the stylized pixels of a box: planes of floats, which belong to a larger box. */
  keep(box: Box, planes: Float32Array, seen: Box): void {
    const size = seen.width * seen.height;
    for (let y = 0; y < box.height; y++) {
      let from = (box.y - seen.y + y) * seen.width + (box.x - seen.x);
      let to = ((box.y + y) * this.width + box.x) * 4;
      for (let x = 0; x < box.width; x++, from++, to += 4) {
        this.painted[to] = planes[from]! * 255; // rounded and clamped by the array
        this.painted[to + 1] = planes[from + size]! * 255;
        this.painted[to + 2] = planes[from + 2 * size]! * 255;
        this.painted[to + 3] = 255;
      }
    }
  }

  /** The finished picture, with the photo's opacity. */
  finished(look: Look): OffscreenCanvas {
    const result = canvas(this.width, this.height);
    const rows = Math.max(1, Math.floor(STRIP / this.width));
    for (let y = 0; y < this.height; y += rows) {
      const box = { x: 0, y, width: this.width, height: Math.min(rows, this.height - y) };
      const photo = this.read(box);
      blend(photo.data, this.painted.subarray(y * this.width * 4, (y + box.height) * this.width * 4), look);
      result.putImageData(photo, 0, y);
    }
    return result.canvas;
  }

  /** A small version, on which strengths can be tried. */
  async preview(): Promise<Preview> {
    const scale = Math.min(1, PREVIEW / Math.max(this.width, this.height));
    const width = Math.max(1, Math.round(this.width * scale));
    const height = Math.max(1, Math.round(this.height * scale));
    const size = { resizeWidth: width, resizeHeight: height, resizeQuality: "high" as const };
    const before = canvas(width, height);
    draw(before, await createImageBitmap(this.bitmap, size));
    const painted = canvas(width, height);
    const whole = new ImageData(this.painted as Uint8ClampedArray<ArrayBuffer>, this.width, this.height);
    draw(painted, await createImageBitmap(whole, size));
    return new Preview(before.getImageData(0, 0, width, height), painted.getImageData(0, 0, width, height).data);
  }
}

export class Preview {
  constructor(
    readonly photo: ImageData,
    private painted: Uint8ClampedArray,
  ) {}

  finished(look: Look): Promise<ImageBitmap> {
    const result = new ImageData(new Uint8ClampedArray(this.photo.data), this.photo.width, this.photo.height);
    blend(result.data, this.painted, look);
    return createImageBitmap(result);
  }
}

/** Blends stylized pixels into those of the photo, RGBA; as `_finished` of fastnst/painting/stylizer.py. */
export function blend(photo: Uint8ClampedArray, painted: Uint8ClampedArray, look: Look): void {
  const { strength, keepColors } = look;
  for (let i = 0; i < photo.length; i += 4) {
    const [r, g, b] = [photo[i]!, photo[i + 1]!, photo[i + 2]!];
    let [pr, pg, pb] = [painted[i]!, painted[i + 1]!, painted[i + 2]!];
    if (keepColors) {
      const lighter = 0.299 * (pr - r) + 0.587 * (pg - g) + 0.114 * (pb - b); // Y of YIQ
      [pr, pg, pb] = [clamped(r + lighter), clamped(g + lighter), clamped(b + lighter)];
    }
    photo[i] = r + strength * (pr - r);
    photo[i + 1] = g + strength * (pg - g);
    photo[i + 2] = b + strength * (pb - b);
  }
}

function clamped(value: number): number {
  return Math.min(255, Math.max(0, value));
}

export async function encoded(picture: OffscreenCanvas, type: string): Promise<Blob> {
  if (type !== "image/jpeg") return picture.convertToBlob({ type });
  const onWhite = canvas(picture.width, picture.height); // JPEG has no opacity
  onWhite.fillStyle = "white";
  onWhite.fillRect(0, 0, picture.width, picture.height);
  onWhite.drawImage(picture, 0, 0);
  return onWhite.canvas.convertToBlob({ type, quality: 0.95 });
}

/** Draws a bitmap, which is not needed afterwards. */
function draw(context: OffscreenCanvasRenderingContext2D, bitmap: ImageBitmap): void {
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
}

function canvas(width: number, height: number): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (context === null) throw new RangeError("no canvas of this size");
  return context;
}
