// What the page and its worker say to each other.

export interface Look {
  strength: number; // 0, the photo, to 1, the full style
  keepColors: boolean;
}

/** The folders of the networks: that of the styles in the page, and that of any painting, which is loaded when used. */
export type Folder = "network" | "any";

/** A network, and the row that it takes as a style: weights of its styles, or numbers told from a painting. */
export interface Style {
  folder: Folder;
  row: number[];
}

export type Request =
  | { kind: "begin"; threads: number; device: string } // 0 threads: as many as there are; "wasm": no graphics card
  | { kind: "paint"; photo: Blob; style: Style; longest: number; tile: number; look: Look }
  | { kind: "look"; look: Look }
  | { kind: "encode"; look: Look; type: string }
  | { kind: "predict"; painting: Blob };

export type Reply =
  | { kind: "loaded"; threads: number; device: "wasm" | "webgpu" }
  | { kind: "progress"; done: number; total: number }
  | { kind: "before"; bitmap: ImageBitmap; width: number; height: number }
  | { kind: "after"; bitmap: ImageBitmap; seconds: number }
  | { kind: "encoded"; blob: Blob }
  | { kind: "predicted"; row: number[]; thumbnail: ImageBitmap }
  | { kind: "failed"; message: string }
  | { kind: "unloaded"; message: string }; // nothing can be painted until the page is loaded again

export interface Network {
  styles?: string[];
  painting_side?: number;
  smallest_painting?: number;
  numbers: number; // of a row
  reach: number;
  stride: number;
  piece: number;
  pieces: number;
}
