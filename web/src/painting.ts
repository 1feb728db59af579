// A painting as the predictor takes it: on white, its short side shrunk, as fastnst/images/read.py does it.

const LOBES = 3; // of the Lanczos filter
const LONGEST = 4; // short sides; what is beyond is left out
const SMALL = 1 / 8; // scale; below it, means over squares come first
const MOST = 2 ** 24; // pixels that are read; a larger painting is shrunk by the browser

export interface Planes {
  values: Float32Array; // 0 to 1: all red, all green, all blue
  width: number;
  height: number;
}

export class Painting {
  private constructor(
    private pixels: ImageData,
    readonly thumbnail: ImageBitmap,
  ) {}

  /** Decodes a painting; its thumbnail is a square of `side` pixels from its middle. */
  static async of(file: Blob, side: number): Promise<Painting> {
    let bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "default" });
    const scale = Math.sqrt(MOST / (bitmap.width * bitmap.height));
    if (scale < 1) {
      const size = { resizeWidth: Math.round(bitmap.width * scale), resizeHeight: Math.round(bitmap.height * scale) };
      const whole = bitmap;
      bitmap = await createImageBitmap(whole, { ...size, resizeQuality: "high" });
      whole.close();
    }
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
    if (context === null) throw new RangeError("no canvas of this size");
    context.fillStyle = "white";
    context.fillRect(0, 0, bitmap.width, bitmap.height);
    context.drawImage(bitmap, 0, 0);
    const square = Math.min(bitmap.width, bitmap.height);
    const [x, y] = [(bitmap.width - square) >> 1, (bitmap.height - square) >> 1];
    const size = { resizeWidth: side, resizeHeight: side, resizeQuality: "high" as const };
    const thumbnail = await createImageBitmap(context.canvas, x, y, square, square, size);
    const painting = new Painting(context.getImageData(0, 0, bitmap.width, bitmap.height), thumbnail);
    bitmap.close();
    return painting;
  }

  /** Its pixels, with a short side of at most `short`; a painting below `least` pixels is continued by copies. */
  planes(short: number, least: number): Planes {
    const { width, height } = this.pixels;
    const longest = Math.max(width, height);
    const size = Math.min(longest, Math.round((short * longest) / Math.min(width, height)));
    const [toWidth, toHeight] = [width, height].map((side) => Math.max(1, Math.round((side * size) / longest)));
    let planes = planesOf(this.pixels);
    if (size < longest) {
      const by = size / longest > SMALL ? 1 : Math.floor(longest / size / 2);
      if (by > 1) planes = meansOf(planes, by);
      planes = transposed(reduced(transposed(reduced(planes, toWidth!)), toHeight!));
      planes.values.forEach((value, i) => (planes.values[i] = Math.round(Math.min(1, Math.max(0, value)) * 255) / 255));
    }
    return continued(middle(planes), least);
  }
}

/** The middle of what is longer than some short sides. */
function middle({ values, width, height }: Planes): Planes {
  const most = LONGEST * Math.min(width, height);
  const [toWidth, toHeight] = [Math.min(width, most), Math.min(height, most)];
  if (toWidth === width && toHeight === height) return { values, width, height };
  const [left, top] = [Math.floor((width - toWidth) / 2), Math.floor((height - toHeight) / 2)];
  const result = new Float32Array(3 * toWidth * toHeight);
  for (let c = 0, to = 0; c < 3; c++) {
    for (let y = 0; y < toHeight; y++) {
      const row = (c * height + top + y) * width + left;
      for (let x = 0; x < toWidth; x++, to++) result[to] = values[row + x]!;
    }
  }
  return { values: result, width: toWidth, height: toHeight };
}

function planesOf({ data, width, height }: ImageData): Planes {
  const size = width * height;
  const values = new Float32Array(3 * size);
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) values[c * size + i] = data[4 * i + c]! / 255;
  }
  return { values, width, height };
}

/** Means over squares of `by` pixels. */
function meansOf({ values, width, height }: Planes, by: number): Planes {
  const [toWidth, toHeight] = [Math.floor(width / by), Math.floor(height / by)];
  const means = new Float32Array(3 * toWidth * toHeight);
  for (let c = 0, to = 0; c < 3; c++) {
    for (let y = 0; y < toHeight; y++) {
      for (let x = 0; x < toWidth; x++, to++) {
        let sum = 0;
        for (let j = 0; j < by; j++) {
          const from = (c * height + y * by + j) * width + x * by;
          for (let i = 0; i < by; i++) sum += values[from + i]!;
        }
        means[to] = sum / by ** 2;
      }
    }
  }
  return { values: means, width: toWidth, height: toHeight };
}

/** Rows shrunk to a width by a Lanczos filter; beyond the ends stand copies of the last pixel. */
function reduced({ values, width, height }: Planes, toWidth: number): Planes {
  const shrink = width / toWidth;
  const rows = 3 * height;
  const result = new Float32Array(rows * toWidth);
  for (let x = 0; x < toWidth; x++) {
    const center = (x + 0.5) * shrink - 0.5;
    const first = Math.ceil(center - LOBES * shrink);
    const weights = [];
    for (let i = first; i <= center + LOBES * shrink; i++) weights.push(lanczos((i - center) / shrink));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const places = weights.map((_, i) => Math.min(width - 1, Math.max(0, first + i)));
    for (let y = 0; y < rows; y++) {
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i]! * values[y * width + places[i]!]!;
      result[y * toWidth + x] = sum / total;
    }
  }
  return { values: result, width: toWidth, height };
}

function lanczos(x: number): number {
  if (x === 0) return 1;
  if (Math.abs(x) >= LOBES) return 0;
  return (LOBES * Math.sin(Math.PI * x) * Math.sin((Math.PI * x) / LOBES)) / (Math.PI * x) ** 2;
}

function transposed({ values, width, height }: Planes): Planes {
  const result = new Float32Array(values.length);
  for (let c = 0; c < 3; c++) {
    const start = c * width * height;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) result[start + x * height + y] = values[start + y * width + x]!;
    }
  }
  return { values: result, width: height, height: width };
}

function continued({ values, width, height }: Planes, least: number): Planes {
  const [toWidth, toHeight] = [Math.max(width, least), Math.max(height, least)];
  if (toWidth === width && toHeight === height) return { values, width, height };
  const result = new Float32Array(3 * toWidth * toHeight);
  for (let c = 0, to = 0; c < 3; c++) {
    for (let y = 0; y < toHeight; y++) {
      const row = (c * height + Math.min(y, height - 1)) * width;
      for (let x = 0; x < toWidth; x++, to++) result[to] = values[row + Math.min(x, width - 1)]!;
    }
  }
  return { values: result, width: toWidth, height: toHeight };
}
