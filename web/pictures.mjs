// The guides' pictures of the page: node web/pictures.mjs PHOTO ..., from the built page, into docs/pictures.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { browser, host, painted, visit } from "./tests/site.mjs";

const FOLDER = fileURLToPath(new URL("../docs/pictures", import.meta.url));
const PAGES = {
  page_desktop: { photos: 3, full: true, viewport: { width: 1200, height: 800 } },
  page_phone: { photos: 1, full: true, colorScheme: "dark", viewport: { width: 400, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 1.5 },
  service_page: { photos: 1, full: false, viewport: { width: 1120, height: 720 } },
};

const [site, chromium] = [await host(), await browser()];
try {
  for (const [name, { photos, full, ...options }] of Object.entries(PAGES)) {
    const context = await chromium.newContext({ colorScheme: "light", ...options });
    const page = await visit(context, site.url);
    await page.setInputFiles("#pick", process.argv.slice(2, 2 + photos));
    await painted(page);
    await page.click("text=Starry night");
    await painted(page);
    await page.screenshot({ path: join(FOLDER, `${name}.jpg`), type: "jpeg", quality: 88, fullPage: full });
    await context.close();
  }
} finally {
  await chromium.close();
  site.close();
}
