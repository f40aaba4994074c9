// What the classifier mistakes for what: a grid of counts, and the pictures of the most frequent mistakes.

import type { Dataset } from "./dataset";
import { h } from "./element";
import { card, sign } from "./parts";
import type { Classifier } from "./quality";
import { indexOf } from "./review_file";
import type { Reviews } from "./review";
import { isDark } from "./theme";
import { count, percent, pictures } from "./words";

/** How much of a colour lies behind a count at most: what stands on it must be read, also in grey. */
const MOST_COLOUR = 42;

export interface Shown {
  data: Dataset;
  reviews: Reviews;
  choose(picture: number): void;
}

/** A row for each label, a column for what it was taken for. */
export function confusionGrid({ confusion, confusion_labels: names, labels }: Classifier): HTMLElement {
  const head = (name: string): HTMLElement => h("th", { title: shown(name) }, h("span", {}, shown(name)));
  const rows = names.map((name, at) => {
    const counts = confusion[at] ?? [];
    const total = counts.reduce((sum, one) => sum + one, 0);
    return h(
      "tr",
      {},
      h("th", {}, h("span", { className: "chip" }, sign(name, isDark()), h("span", {}, shown(name)))),
      ...names.map((other, column) => cell(name, other, counts[column] ?? 0, total)),
    );
  });
  const part = labels.length > names.length ? ` Of ${count(labels.length)} labels these ${count(names.length)} have the most mistakes.` : "";
  return h(
    "div",
    {},
    h("p", { className: "soft" }, `Rows: the label. Columns: what the classifier took it for.${part}`),
    h(
      "div",
      { className: "scroll-x" },
      h("table", { className: "confusion" }, h("thead", {}, h("tr", {}, h("td", {}), ...names.map(head))), h("tbody", {}, ...rows)),
    ),
  );
}

function cell(name: string, other: string, found: number, total: number): HTMLElement {
  const share = total ? found / total : 0;
  const right = name === other;
  const words = right
    ? `${pictures(found)} labelled “${shown(name)}” taken for what they are (${percent(share)})`
    : `${pictures(found)} labelled “${shown(name)}” taken for “${shown(other)}” (${percent(share)})`;
  const made = h("td", { className: right ? "right" : found ? "wrong" : "none", title: words }, found ? count(found) : "·");
  if (found) made.style.setProperty("--share", `${Math.round(10 + share * (MOST_COLOUR - 10))}%`);
  return made;
}

/** The pairs that are taken for each other most, with their pictures. */
export function confusedPairs(confused: Classifier["confused"], view: Shown): HTMLElement {
  if (!confused.length) return h("p", {}, "It mistook no picture.");
  return h("ul", { className: "pairs" }, ...confused.map((pair) => h("li", {}, ...pairParts(pair, view))));
}

/** The pictures whose own label is all but ruled out by what was learnt from the others. */
export function suspectsPanel(suspects: NonNullable<Classifier["suspects"]>, view: Shown): HTMLElement {
  const pairs = new Map<string, Classifier["confused"][number]>();
  for (const { path, label, taken_for: other } of suspects) {
    const key = JSON.stringify([label, other]);
    const pair = pairs.get(key) ?? { label, taken_for: other, images: 0, paths: [] };
    pair.images += 1;
    pair.paths.push(path);
    pairs.set(key, pair);
  }
  return h(
    "div",
    { className: "panel" },
    h("h2", {}, "Labels that may be wrong"),
    h("p", { className: "soft" }, "What was learnt from the other pictures gives these another label, and all but rules out their own. The surest first."),
    confusedPairs([...pairs.values()], view),
  );
}

function pairParts({ label, taken_for: other, images, paths }: Classifier["confused"][number], { data, reviews, choose }: Shown): Node[] {
  const index = indexOf(data);
  const name = (text: string): HTMLElement => h("span", { className: "chip" }, sign(text, isDark()), h("span", {}, shown(text)));
  const at = paths.map((path) => index.get(path));
  const cards = at.flatMap((picture) => (picture === undefined ? [] : [card(data, picture, { size: 64, dark: isDark(), reviews, choose })]));
  const others = paths.filter((_, place) => at[place] === undefined);
  return [
    h("h3", { className: "pair" }, name(label), " taken for ", name(other), h("span", { className: "soft" }, ` ${pictures(images)}`)),
    h("div", { className: "cards" }, ...cards),
    ...others.map((path) => h("p", { className: "soft address" }, `${path.slice(data.about.images_uri.length)} (not shown on the map)`)),
  ];
}

function shown(label: string): string {
  return label || "(no label)";
}
