// Small parts that several views are built of.

import { css, labelColour, labelShape, type Shape } from "./colours";
import { fileName, labelName, type Dataset } from "./dataset";
import { h } from "./element";
import { quantile } from "./geometry";
import { harmless } from "./harmless";
import { reviewWords, type Reviews } from "./review";
import { svg } from "./svg";
import { thumbnail } from "./thumbnails";

const OUTLINES = {
  circle: "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12z",
  square: "M3 3h10v10h-10z",
  triangle: "M8 2l6 11h-12z",
  diamond: "M8 1l7 7l-7 7l-7-7z",
  cross: "M6 2h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
  wedge: "M2 3h12l-6 11z",
  saltire: "M4.5 1.5l3.5 3.5l3.5-3.5l3 3l-3.5 3.5l3.5 3.5l-3 3l-3.5-3.5l-3.5 3.5l-3-3l3.5-3.5l-3.5-3.5z",
  bow: "M2 1.5l6 5l6-5v13l-6-5l-6 5z",
} satisfies Record<Shape, string>;

/** The sign of a label: its shape in its colour, as on the map. */
export function sign(label: string, dark: boolean): SVGElement {
  const outline = svg("path", { d: OUTLINES[labelShape(label)], fill: css(labelColour(label, dark)) });
  return svg("svg", { viewBox: "0 0 16 16", class: "sign", "aria-hidden": "true" }, outline);
}

/** The button below a list that is not shown whole. */
export function showMore(act: () => void, words = "Show more"): HTMLButtonElement {
  return h("button", { type: "button", className: "quiet", on: { click: act } }, words);
}

/** A picture as a button, with its label below it. */
export function card(
  data: Dataset,
  picture: number,
  options: { size: number; dark: boolean; reviews: Reviews; note?: string; odd?: boolean; choose: (picture: number) => void },
): HTMLButtonElement {
  const name = labelName(data, data.label[picture]!);
  const made = h(
    "button",
    {
      type: "button",
      className: options.odd ? "card odd" : "card",
      title: `${name} – ${fileName(data, picture)}`,
      aria: { label: `${name}, ${fileName(data, picture)}${options.note ? `, ${options.note}` : ""}` },
      on: { click: () => options.choose(picture) },
    },
    h("span", { className: "frame" }, thumbnail(data, picture, options.size)),
    h("span", { className: "card-label" }, sign(data.labels[data.label[picture]!]!, options.dark), h("span", {}, name)),
    options.note ? h("span", { className: "card-note" }, options.note) : null,
    h("span", { className: "card-mark", hidden: true }),
  );
  made.dataset["picture"] = String(picture);
  showMark(made, data, options.reviews);
  return made;
}

/** Write the marks of the review on the cards in an element again. */
export function refreshMarks(element: Element, data: Dataset, reviews: Reviews): void {
  for (const one of element.querySelectorAll<HTMLElement>(".card[data-picture]")) showMark(one, data, reviews);
}

function showMark(card: HTMLElement, data: Dataset, reviews: Reviews): void {
  const words = reviewWords(reviews.get(data.paths[Number(card.dataset["picture"])]!));
  const mark = card.querySelector<HTMLElement>(".card-mark")!;
  mark.textContent = harmless(words);
  mark.hidden = !words;
}

/** How far along a scale from 0 to 1 something stands: a bar with a mark, and the words that say the same. */
export function standingBar(title: string, share: number, words: string): HTMLElement {
  const mark = h("span", { className: "bar-mark" });
  const filled = h("span", { className: "bar-fill" });
  filled.style.width = mark.style.left = `${Math.min(100, Math.max(0, share * 100))}%`;
  return h(
    "div",
    { className: "standing" },
    h("div", { className: "standing-title" }, title),
    h("div", { className: "bar", aria: { hidden: "true" } }, filled, mark),
    h("div", { className: "standing-words" }, words),
  );
}

export interface Spread {
  low: number;
  quarter: number;
  middle: number;
  threeQuarters: number;
  high: number;
}

/** Where nine of ten values lie, the half in the middle, and the median. */
export function spreadOf(ascending: Float64Array): Spread {
  const at = (share: number): number => quantile(ascending, share);
  return { low: at(0.05), quarter: at(0.25), middle: at(0.5), threeQuarters: at(0.75), high: at(0.95) };
}

/** Two spreads (or a spread and a single value) on one scale from `from` to `to`. */
export function spreadRow(
  from: number,
  to: number,
  rows: { className: string; colour: string; spread?: Spread | undefined; value?: number | undefined }[],
): HTMLElement {
  const at = (value: number): string => `${Math.min(100, Math.max(0, ((value - from) / (to - from || 1)) * 100))}%`;
  const between = (low: number, high: number): string => `${((high - low) / (to - from || 1)) * 100}%`;
  const lines = rows.map(({ className, colour, spread, value }) => {
    const parts: HTMLElement[] = [];
    if (spread) {
      const line = h("span", { className: "spread-line" });
      line.style.left = at(spread.low);
      line.style.width = between(spread.low, spread.high);
      const box = h("span", { className: "spread-box" });
      box.style.left = at(spread.quarter);
      box.style.width = between(spread.quarter, spread.threeQuarters);
      const middle = h("span", { className: "spread-middle" });
      middle.style.left = at(spread.middle);
      parts.push(line, box, middle);
    }
    if (value !== undefined) {
      const mark = h("span", { className: "spread-mark" });
      mark.style.left = at(value);
      parts.push(mark);
    }
    const row = h("div", { className: `spread ${className}` }, ...parts);
    row.style.setProperty("--side", colour);
    return row;
  });
  return h("div", { className: "spreads", aria: { hidden: "true" } }, ...lines);
}

export function table(head: string[], rows: (string | Node)[][], numeric: readonly number[] = []): HTMLElement {
  const cell = (tag: "th" | "td", content: string | Node, at: number): HTMLElement =>
    h(tag, { className: numeric.includes(at) ? "number" : "" }, content);
  return h(
    "div",
    { className: "scroll-x" },
    h(
      "table",
      {},
      head.length ? h("thead", {}, h("tr", {}, ...head.map((name, at) => cell("th", name, at)))) : null,
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((content, at) => cell("td", content, at))))),
    ),
  );
}
