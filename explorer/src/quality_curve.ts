// The curve of accuracy by the number of components.

import { fill, h } from "./element";
import type { AtK, Quality, Share } from "./quality";
import { svg } from "./svg";
import { count } from "./words";

const HIGH = 320;
const LEFT = 48;
const RIGHT = 20;
const TOP = 26;
const BOTTOM = 46;
const TICKS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
/** Pixels that the number below a tick needs. */
const TICK_ROOM = 44;

interface Point extends Share {
  k: number;
}

/** A line of the drawing; lines differ in colour, stroke and points, so that a grey print shows which is which. */
interface Line {
  className: string;
  name: string;
  points: Point[];
  hasBand: boolean;
}

export function qualityCurve(quality: Quality, features: AtK): HTMLElement {
  const lines = linesOf(quality, features);
  const plot = h("div", { className: "plot" });
  // Drawn for the width that there is, so that its words keep their size on a phone.
  new ResizeObserver(() => plot.clientWidth && fill(plot, drawing(quality, lines, plot.clientWidth))).observe(plot);
  return h("div", {}, plot, h("ul", { className: "legend" }, ...lines.map(legendRow)));
}

function linesOf({ by_k: byK, split }: Quality, features: AtK): Line[] {
  const exact = (value: number): Share => ({ value, low: value, high: value });
  const all = [...byK, features];
  const found: Line[] = [
    { className: "accuracy", name: "Accuracy, with its confidence interval", hasBand: true, points: all.map(({ k, accuracy }) => ({ k, ...accuracy })) },
    { className: "variance", name: "Variance that the components hold together", hasBand: false, points: all.map(({ k, variance }) => ({ k, ...exact(variance) })) },
  ];
  if (!split) return found;
  const tested = [...split.by_k, { k: features.k, ...split.features }];
  found.push({ className: "tested", name: "Test judged by Training", hasBand: false, points: tested.map(({ k, accuracy }) => ({ k, ...accuracy })) });
  const without = tested.flatMap(({ k, without_duplicates: share }) => (share ? [{ k, ...share }] : []));
  if (without.length) found.push({ className: "without", name: "The same without near-duplicates", hasBand: false, points: without });
  return found;
}

function drawing(quality: Quality, lines: readonly Line[], wide: number): SVGElement {
  const points = lines.flatMap((line) => line.points);
  const [least, most] = [Math.min(...points.map(({ k }) => k)), Math.max(...points.map(({ k }) => k))];
  const lowest = Math.max(0, Math.min(0.9, Math.floor(Math.min(...points.map(({ low }) => low)) * 10) / 10));
  const x = (k: number): number => LEFT + ((wide - LEFT - RIGHT) * Math.log(k / least)) / (Math.log(most / least) || 1);
  const y = (share: number): number => HIGH - BOTTOM - ((HIGH - TOP - BOTTOM) * (share - lowest)) / (1 - lowest);
  return svg(
    "svg",
    { viewBox: `0 0 ${wide} ${HIGH}`, width: wide, height: HIGH, role: "img", "aria-label": `${quality.sentence} The table below has all numbers.` },
    ...grid(lowest, wide, y),
    ...kTicks(least, most, x),
    chosen(quality.k, x),
    ...lines.filter((line) => line.hasBand).map((line) => band(line, x, y)),
    ...lines.toReversed().map((line) => stroke(line, x, y)),
    svg("text", { class: "axis-name", x: (LEFT + wide - RIGHT) / 2, y: HIGH - 6 }, wide < 500 ? "components; the last: all features" : "components (logarithmic); the last point: all features"),
  );
}

function grid(lowest: number, wide: number, y: (share: number) => number): SVGElement[] {
  const step = lowest < 0.5 ? 0.2 : 0.1;
  const found: SVGElement[] = [];
  for (let share = 1; share >= lowest - 1e-9; share -= step) {
    found.push(
      svg("line", { class: "grid", x1: LEFT, x2: wide - RIGHT, y1: y(share), y2: y(share) }),
      svg("text", { class: "tick across", x: LEFT - 8, y: y(share) + 4 }, `${Math.round(share * 100)} %`),
    );
  }
  return found;
}

function kTicks(least: number, most: number, x: (k: number) => number): SVGElement[] {
  const inside = TICKS.filter((k) => k >= least && k < most);
  const found: number[] = [most];
  // From the right: the features' own number always stands.
  for (const k of inside.toReversed()) if (x(found[found.length - 1]!) - x(k) > TICK_ROOM) found.push(k);
  return found.map((k) => svg("text", { class: "tick", x: x(k), y: HIGH - BOTTOM + 18 }, count(k)));
}

function chosen(k: number, x: (k: number) => number): SVGElement {
  return svg(
    "g",
    { class: "chosen" },
    svg("line", { x1: x(k), x2: x(k), y1: TOP - 6, y2: HIGH - BOTTOM }),
    svg("text", { x: x(k), y: TOP - 11 }, `k = ${count(k)}`),
  );
}

function band({ points }: Line, x: (k: number) => number, y: (share: number) => number): SVGElement {
  const upper = points.map(({ k, high }) => `${x(k)},${y(high)}`);
  const lower = points.toReversed().map(({ k, low }) => `${x(k)},${y(low)}`);
  return svg("polygon", { class: "band", points: [...upper, ...lower].join(" ") });
}

function stroke({ className, name, points }: Line, x: (k: number) => number, y: (share: number) => number): SVGElement {
  const dots = points.map((point) => {
    const words = `${name}: ${(point.value * 100).toFixed(1)} % with ${count(point.k)}`;
    return svg("path", { class: "dot", d: dot(className, x(point.k), y(point.value)) }, svg("title", {}, words));
  });
  return svg("g", { class: `curve ${className}` }, svg("polyline", { points: points.map(({ k, value }) => `${x(k)},${y(value)}`).join(" ") }), ...dots);
}

function dot(className: string, x: number, y: number): string {
  switch (className) {
    case "tested":
      return `M${x} ${y - 5}l5 9h-10z`;
    case "without":
      return `M${x} ${y - 5}l5 5l-5 5l-5-5z`;
    case "variance":
      return `M${x - 2.5} ${y - 2.5}h5v5h-5z`;
    default:
      return `M${x - 4} ${y}a4 4 0 1 0 8 0a4 4 0 1 0-8 0z`;
  }
}

function legendRow({ className, name }: Line): HTMLElement {
  const sample = svg(
    "svg",
    { viewBox: "0 0 40 12", width: 40, height: 12, "aria-hidden": "true", class: "sample" },
    svg("g", { class: `curve ${className}` }, svg("polyline", { points: "1,6 39,6" }), svg("path", { class: "dot", d: dot(className, 20, 6) })),
  );
  return h("li", {}, sample, h("span", {}, name));
}
