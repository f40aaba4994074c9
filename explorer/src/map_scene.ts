// What the map's drawings share: where things lie on the canvas, and the state that is drawn.

import type { ZoomTransform } from "d3-zoom";
import type { Rgb } from "./colours";
import type { Dataset } from "./dataset";
import type { Area } from "./selection";

/** Pixels between the outermost pictures and the border. */
export const PAD = 36;
/** A picture on the map, with its frame. */
export const PICTURE = 46;

export interface MapState {
  x: number;
  y: number;
  visible: Uint8Array;
  selected: number;
  neighbours: readonly number[];
  /** A label whose pictures stand out; -1 for none. */
  highlighted: number;
  /** Areas that were drawn, and 1 for each picture in them; null where nothing is selected. */
  areas: readonly Area[];
  selection: Uint8Array | null;
  /** 1 for each picture with a mark of the review. */
  marked: Uint8Array;
  pictures: boolean;
  dark: boolean;
}

export interface Palette {
  map: Rgb;
  ink: Rgb;
  faint: Rgb;
  mark: Rgb;
}

export interface Scene {
  data: Dataset;
  state: MapState;
  palette: Palette;
  /** Where each picture lies before zooming: x, y. */
  base: Float32Array;
  transform: ZoomTransform;
  wide: number;
  high: number;
  /** Pixels of the canvas for one of the page. */
  dense: number;
  /** All pictures in the order in which they are drawn. */
  order: Int32Array;
}

export function onScreen({ base, transform }: Scene, picture: number): [number, number] {
  return transform.apply([base[2 * picture]!, base[2 * picture + 1]!]);
}

/** A value of an axis before zooming, and back. */
export interface Scale {
  toPixel(value: number): number;
  toValue(pixel: number): number;
}

/** Values laid between two pixels, which may run downwards. */
export function scaleOf(values: Float32Array, from: number, to: number): Scale {
  const [low, high] = extent(values);
  const factor = (to - from) / (high - low);
  return { toPixel: (value) => from + (value - low) * factor, toValue: (pixel) => low + (pixel - from) / factor };
}

function extent(values: Float32Array): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return high > low ? [low, high] : [low - 1, low + 1];
}

/** All numbers below n in an order without meaning, the same each time: no label lies over the others. */
export function shuffled(n: number): Int32Array {
  const order = Int32Array.from({ length: n }, (_, at) => at);
  let seed = 1;
  for (let at = n - 1; at > 0; at--) {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    const other = seed % (at + 1);
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  return order;
}

/** A colour variable of the style sheet, which holds `R G B`. */
export function colourOf(element: Element, name: string): Rgb {
  const [red, green, blue] = getComputedStyle(element).getPropertyValue(name).trim().split(/\s+/).map(Number);
  return [red ?? 0, green ?? 0, blue ?? 0];
}
