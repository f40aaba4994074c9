// The review as a file, which `apply_review` reads (docs/formats.md).

import { csvOf } from "./csv";
import { isSample, type Dataset } from "./dataset";
import { h } from "./element";
import type { Reviews } from "./review";

const COLUMNS = ["path", "label", "mark", "new_label", "note"];

/** The label of a path: its last folder below the images' folder, in the form that labels have. */
export function labelOfPath(path: string, root: string): string {
  const folders = path.slice(root.length).split("/").slice(0, -1);
  return (folders[folders.length - 1] ?? "").normalize("NFC");
}

/** Marked pictures that the file names, and those that the run does not have any more, where that can be told. */
export function splitMarked(data: Dataset, reviews: Reviews): { named: string[]; gone: string[] } {
  const paths = reviews.paths();
  if (isSample(data)) return { named: paths, gone: [] };
  const there = indexOf(data);
  return { named: paths.filter((path) => there.has(path)), gone: paths.filter((path) => !there.has(path)) };
}

export function reviewFile(data: Dataset, reviews: Reviews): string {
  const there = indexOf(data);
  const rows = splitMarked(data, reviews).named.map((path) => {
    const picture = there.get(path);
    const label = picture === undefined ? labelOfPath(path, data.about.images_uri) : data.labels[data.label[picture]!]!;
    const { mark, newLabel, note } = reviews.get(path)!;
    return [path, label, mark, mark === "wrong label" ? newLabel : "", note];
  });
  return csvOf([COLUMNS, ...rows]);
}

const indices = new WeakMap<Dataset, Map<string, number>>();

/** Each picture's row by its path. */
export function indexOf(data: Dataset): Map<string, number> {
  let index = indices.get(data);
  if (!index) {
    index = new Map(data.paths.map((path, at) => [path, at]));
    indices.set(data, index);
  }
  return index;
}

/** Let the browser save a text as a file: the page sits in a frame that may download, but open no window. */
export function save(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  h("a", { href: address, download: name }).click();
  // Not at once: the download reads it after the click.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
