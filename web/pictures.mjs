// The guides' pictures of the page: node web/pictures.mjs PHOTO ..., from the built page, into docs/pictures. Needs Pillow in PYTHON.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { browser, host, painted, visit } from "./tests/site.mjs";

const FOLDER = fileURLToPath(new URL("../docs/pictures", import.meta.url));
const PAGES = {
  page_desktop: { photos: 3, full: true, viewport: { width: 1200, height: 800 } },
  page_phone: { photos: 1, full: true, colorScheme: "dark", viewport: { width: 400, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 1.5 },
  service_page: { photos: 1, full: false, viewport: { width: 1120, height: 720 } },
};

const [site, chromium, folder] = [await host(), await browser(), mkdtempSync(join(tmpdir(), "pages-"))];
try {
  for (const [name, { photos, full, ...options }] of Object.entries(PAGES)) {
    const context = await chromium.newContext({ colorScheme: "light", ...options });
    const page = await visit(context, site.url);
    await page.setInputFiles("#pick", process.argv.slice(2, 2 + photos));
    await painted(page);
    await page.click("text=Starry night");
    await painted(page);
    const png = join(folder, `${name}.png`);
    await page.screenshot({ path: png, fullPage: full });
    const save = "import sys; from PIL import Image; Image.open(sys.argv[1]).convert('RGB').save(sys.argv[2], quality=88, optimize=True)";
    execFileSync(process.env.PYTHON ?? "python3", ["-c", save, png, join(FOLDER, `${name}.jpg`)]);
    await context.close();
  }
} finally {
  rmSync(folder, { recursive: true });
  await chromium.close();
  site.close();
}
