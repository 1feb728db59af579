// Compares two built pages, file by file: node compare.mjs NEW COMMITTED. What is packed is compared unpacked.
import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { gunzipSync } from "node:zlib";

const [made, committed] = process.argv.slice(2).map((folder) => {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  return new Map(files.map((each) => {
    const path = join(each.parentPath, each.name);
    const data = readFileSync(path);
    return [relative(folder, path), data[0] === 0x1f && data[1] === 0x8b ? gunzipSync(data) : data];
  }));
});
const names = [...new Set([...made.keys(), ...committed.keys()])].sort();
const different = names.filter((name) => !made.get(name)?.equals(committed.get(name) ?? Buffer.alloc(0)));
if (different.length > 0) {
  console.error(`the built page is not that of web/: ${different.join(", ")}; cd web && npm install && npm run build`);
  process.exit(1);
}
console.log(`${names.length} files are equal`);
