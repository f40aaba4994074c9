// Builds the page into a folder: `node build.mjs FOLDER`. The same source gives the same bytes.
import { copyFile, mkdir, rm } from "node:fs/promises";
import { build } from "esbuild";

const folder = process.argv[2];
if (!folder) {
  console.error("usage: node build.mjs FOLDER");
  process.exit(2);
}
await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
await build({
  entryPoints: { app: "src/main.ts", style: "src/style.css" },
  outdir: folder,
  bundle: true,
  minify: true,
  // A classic script: a page on a disk may not load modules.
  format: "iife",
  target: "es2022",
  charset: "ascii",
  legalComments: "inline",
  logLevel: "warning",
});
await copyFile("src/index.html", `${folder}/index.html`);
