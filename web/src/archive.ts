// Several files as one ZIP. Knows nothing of photos.

import { Zip, ZipPassThrough } from "fflate";

/** A ZIP of files that are compressed already; files of one name get a number. */
export async function zipped(files: { name: string; blob: Blob }[]): Promise<Blob> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const taken = new Set<string>();
  const zip = new Zip((error, data) => {
    if (error) throw error;
    parts.push(data as Uint8Array<ArrayBuffer>);
  });
  for (const { name, blob } of files) {
    const entry = new ZipPassThrough(free(name, taken));
    zip.add(entry);
    entry.push(new Uint8Array(await blob.arrayBuffer()), true);
  }
  zip.end();
  return new Blob(parts, { type: "application/zip" });
}

function free(name: string, taken: Set<string>): string {
  const [, stem, suffix] = /^(.*)(\.[^.]*)$/.exec(name) ?? [name, name, ""];
  let found = name;
  for (let number = 2; taken.has(found); number++) found = `${stem}-${number}${suffix}`;
  taken.add(found);
  return found;
}
