// Boxes of a photo, in pixels; as fastnst/base/boxes.py and fastnst/painting/tiles.py.

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** Boxes of about equal size that make up a picture, row by row, with sides of at most `side` pixels. */
export function cut(width: number, height: number, side: number): Box[] {
  const boxes: Box[] = [];
  for (const [y, bottom] of parts(height, side)) {
    for (const [x, right] of parts(width, side)) boxes.push({ x, y, width: right - x, height: bottom - y });
  }
  return boxes;
}

function parts(length: number, side: number): [number, number][] {
  const count = Math.ceil(length / side);
  return Array.from({ length: count }, (_, i) => [
    Math.floor((length * i) / count),
    Math.floor((length * (i + 1)) / count),
  ]);
}

/** A box with `by` pixels more on each side, where the picture has them; it begins at multiples of `multiple`. */
export function widened(box: Box, by: number, width: number, height: number, multiple: number): Box {
  const x = Math.floor(Math.max(0, box.x - by) / multiple) * multiple;
  const y = Math.floor(Math.max(0, box.y - by) / multiple) * multiple;
  const right = Math.min(width, box.x + box.width + by);
  const bottom = Math.min(height, box.y + box.height + by);
  return { x, y, width: right - x, height: bottom - y };
}

/** Squares spread over a picture, for the statistics of its norms. */
export function pieces(width: number, height: number, count: number, side: number): Box[] {
  return Array.from({ length: count }, (_, i) => ({
    x: around((i * GOLDEN) % 1, width, side),
    y: around((i + 0.5) / count, height, side),
    width: Math.min(side, width),
    height: Math.min(side, height),
  }));
}

function around(share: number, length: number, side: number): number {
  return Math.max(0, Math.min(length - side, roundHalfEven(share * length - side / 2)));
}

function roundHalfEven(value: number): number {
  const down = Math.floor(value);
  const rest = value - down;
  if (rest !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}
