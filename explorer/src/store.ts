// What the person chose: filters, axes, the picture that is looked at.

import { CHANGED, NEW, type Dataset } from "./dataset";
import type { Findings } from "./findings";
import type { Reviews } from "./review";

export type Quick = "all" | "mislabelled" | "unusual" | "new" | "changed" | "marked";

/** A number of each picture that can be filtered by. */
export interface Measure {
  key: string;
  name: string;
  values: ArrayLike<number>;
}

export interface Range {
  key: string;
  low: number;
  high: number;
}

export interface Choice {
  search: string;
  hidden: ReadonlySet<number>;
  ranges: readonly Range[];
  quick: Quick;
}

export const EVERYTHING: Choice = { search: "", hidden: new Set(), ranges: [], quick: "all" };

export function measuresOf(data: Dataset): Measure[] {
  const found: Measure[] = [
    { key: "fromGroup", name: "Distance from the middle of its label", values: data.fromGroup },
    { key: "fromAll", name: "Distance from the middle of all", values: data.fromAll },
  ];
  if (data.around) {
    found.push(
      { key: "nearest", name: "Distance to the nearest picture", values: data.around.nearest },
      { key: "agreeing", name: "Neighbours with its label", values: data.around.agreeing },
    );
  }
  found.push(
    { key: "width", name: "Width in pixels", values: data.width },
    { key: "height", name: "Height in pixels", values: data.height },
    { key: "kilobytes", name: "File size in kB", values: Float64Array.from(data.bytes, (bytes) => bytes / 1000) },
  );
  data.components.forEach((values, at) => found.push({ key: `pc_${at + 1}`, name: `Component ${at + 1}`, values }));
  return found;
}

/** 1 for each picture that the choice shows. */
export function visibleOf(
  data: Dataset,
  findings: Findings,
  measures: readonly Measure[],
  reviews: Reviews,
  choice: Choice,
): Uint8Array {
  const visible = new Uint8Array(data.n).fill(1);
  const keepIf = (test: (at: number) => boolean): void => {
    for (let at = 0; at < data.n; at++) if (visible[at] && !test(at)) visible[at] = 0;
  };
  const { quick } = choice;
  if (quick === "mislabelled") keepIf((at) => findings.mislabelled?.[at] === 1);
  if (quick === "unusual") keepIf((at) => findings.unusual[at] === 1);
  if (quick === "new") keepIf((at) => data.change[at] === NEW);
  if (quick === "marked") keepIf((at) => reviews.get(data.paths[at]!) !== undefined);
  if (quick === "changed") keepIf((at) => data.change[at] === CHANGED);
  if (choice.hidden.size) keepIf((at) => !choice.hidden.has(data.label[at]!));
  for (const { key, low, high } of choice.ranges) {
    const values = measures.find((measure) => measure.key === key)?.values;
    if (values) keepIf((at) => values[at]! >= low && values[at]! <= high);
  }
  const words = choice.search.normalize("NFC").toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length) {
    const root = data.about.images_uri.length;
    // The label is the last folder of the path below the root, so one text holds both. macOS writes é as two signs.
    keepIf((at) => {
      const text = data.paths[at]!.slice(root).normalize("NFC").toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }
  return visible;
}

export function indicesOf(visible: Uint8Array): number[] {
  const found: number[] = [];
  visible.forEach((shown, at) => shown && found.push(at));
  return found;
}
