// The lower canvas of the map: every picture as a point.

import { labelColour, labelShape, type Rgb } from "./colours";
import type { Scene } from "./map_scene";
import { stampOf, type Sheet, type Stamp } from "./stamps";

export function drawPoints(scene: Scene, sheet: Sheet, canvas: HTMLCanvasElement): void {
  const { data, state, palette, base, transform, dense, order } = scene;
  const { visible, highlighted, selection } = state;
  const radius = radiusOf(scene) * dense;
  const stamps: Stamp[] = data.labels.map((name) => stampOf(radius < 2 ? "circle" : labelShape(name), radius));
  const colours: Rgb[] = data.labels.map((name) => labelColour(name, state.dark));
  const small = stampOf("circle", Math.max(1, radius * 0.55));
  const { k, x: tx, y: ty } = transform;
  sheet.clear(canvas.width, canvas.height, palette.map);
  const put = (at: number, stamp: Stamp, colour: Rgb, alpha: number): void =>
    sheet.put((base[2 * at]! * k + tx) * dense, (base[2 * at + 1]! * k + ty) * dense, stamp, colour, alpha);
  const standsOut = (at: number): boolean =>
    highlighted >= 0 ? data.label[at] === highlighted : selection === null || selection[at] === 1;
  // What is filtered away stays as a shadow, so that the rest keeps its place among all.
  for (const at of order) if (!visible[at]) put(at, small, palette.faint, 0.8);
  for (const at of order) {
    if (!visible[at] || standsOut(at)) continue;
    if (highlighted >= 0) put(at, small, palette.faint, 1);
    else put(at, small, colours[data.label[at]!]!, 0.3);
  }
  const point = (at: number): void =>
    put(at, stamps[data.label[at]!]!, colours[data.label[at]!]!, highlighted >= 0 ? 1 : 0.92);
  for (const at of order) if (visible[at] && standsOut(at)) point(at);
  drawMarks(scene, put, radius, point, standsOut);
  sheet.show(canvas.getContext("2d", { alpha: false })!);
}

/** Rings above the other points, and below those that they are around: thousands of them would hide these. */
function drawMarks(
  { state: { visible, marked }, palette, dense, order }: Scene,
  put: (at: number, stamp: Stamp, colour: Rgb, alpha: number) => void,
  radius: number,
  point: (at: number) => void,
  standsOut: (at: number) => boolean,
): void {
  const shown = order.filter((at) => marked[at] && visible[at]);
  const ring = stampOf("ring", 1.5 * (radius + dense));
  for (const at of shown) put(at, ring, palette.mark, 1);
  for (const at of shown) if (standsOut(at)) point(at);
}

function radiusOf({ data: { n }, transform }: Scene): number {
  const least = n < 400 ? 5.5 : n < 3000 ? 4 : n < 20000 ? 2.6 : 1.6;
  return Math.min(7, least * Math.sqrt(Math.sqrt(Math.max(1, transform.k))));
}
