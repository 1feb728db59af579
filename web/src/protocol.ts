// What the page and its worker say to each other.

export interface Look {
  strength: number; // 0, the photo, to 1, the full style
  keepColors: boolean;
}

export type Request =
  | { kind: "paint"; photo: Blob; row: number[]; longest: number; tile: number; look: Look }
  | { kind: "look"; look: Look }
  | { kind: "encode"; look: Look; type: string };

export type Reply =
  | { kind: "loaded"; threads: number }
  | { kind: "progress"; done: number; total: number }
  | { kind: "before"; bitmap: ImageBitmap; width: number; height: number }
  | { kind: "after"; bitmap: ImageBitmap }
  | { kind: "encoded"; blob: Blob }
  | { kind: "failed"; message: string };

export interface Network {
  styles: string[];
  reach: number;
  stride: number;
  piece: number;
  pieces: number;
}
