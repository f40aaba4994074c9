// What was drawn around pictures on the map: areas in the components' own numbers, so that a link restores them.

const MOST_AREAS = 20;
const MOST_CORNERS = 400;
/** Corners are rounded to about this share of the area's size. */
const FINEST = 1000;

/** A polygon on two components. */
export interface Area {
  /** Indices of the components that it was drawn on. */
  x: number;
  y: number;
  /** x and y of each corner, one after the other. */
  corners: Float64Array;
}

/** An area whose corners are rounded as the address holds them: a link then selects the very same pictures. */
export function areaOf(x: number, y: number, places: readonly (readonly [number, number])[]): Area {
  const steps = [0, 1].map((axis) => {
    const values = places.map((place) => place[axis]!);
    const size = Math.max(...values) - Math.min(...values) || 1;
    return 10 ** Math.min(12, Math.max(0, Math.ceil(Math.log10(FINEST / size))));
  });
  return { x, y, corners: Float64Array.from(places.flat(), (value, at) => Math.round(value * steps[at % 2]!) / steps[at % 2]!) };
}

/** 1 for each picture inside any of the areas; null where there is no area. */
export function maskOf(components: readonly Float32Array[], areas: readonly Area[]): Uint8Array | null {
  if (!areas.length) return null;
  const mask = new Uint8Array(components[0]?.length ?? 0);
  for (const area of areas) addInside(mask, components[area.x]!, components[area.y]!, area.corners);
  return mask;
}

function addInside(mask: Uint8Array, xs: Float32Array, ys: Float32Array, corners: Float64Array): void {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let at = 0; at < corners.length; at += 2) {
    left = Math.min(left, corners[at]!);
    right = Math.max(right, corners[at]!);
    low = Math.min(low, corners[at + 1]!);
    high = Math.max(high, corners[at + 1]!);
  }
  for (let at = 0; at < mask.length; at++) {
    const [x, y] = [xs[at]!, ys[at]!];
    if (x < left || x > right || y < low || y > high || mask[at]) continue;
    if (isInside(corners, x, y)) mask[at] = 1;
  }
}

/** Whether a ray from a place crosses the polygon's border an odd number of times. */
function isInside(corners: Float64Array, x: number, y: number): boolean {
  let inside = false;
  for (let at = 0, before = corners.length - 2; at < corners.length; before = at, at += 2) {
    const [ax, ay, bx, by] = [corners[at]!, corners[at + 1]!, corners[before]!, corners[before + 1]!];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

/** Areas as a word of the address: of signs that need no escape there. */
export function areasToWord(areas: readonly Area[]): string {
  return areas.map(({ x, y, corners }) => [x + 1, y + 1, ...corners].join("_")).join("*");
}

/** The areas of an address; what is not one is left out, for an address can hold anything. */
export function areasFromWord(word: string | null, k: number): Area[] {
  const found = (word ?? "").split("*").slice(0, MOST_AREAS).map((area) => {
    const [x, y, ...corners] = area.split("_").map((text) => (text === "" ? NaN : Number(text)));
    return { x: x! - 1, y: y! - 1, corners: Float64Array.from(corners) };
  });
  const isAxis = (axis: number): boolean => Number.isInteger(axis) && axis >= 0 && axis < k;
  return found.filter(
    ({ x, y, corners }) =>
      isAxis(x) && isAxis(y) && corners.length >= 6 && corners.length % 2 === 0 && corners.length <= 2 * MOST_CORNERS && corners.every(Number.isFinite),
  );
}

/** A line with fewer corners that nowhere lies further from the first than some pixels (Douglas and Peucker). */
export function simplified(line: readonly (readonly [number, number])[], far: number): (readonly [number, number])[] {
  const [first, last] = [line[0]!, line[line.length - 1]!];
  let [furthest, most] = [-1, far];
  for (let at = 1; at < line.length - 1; at++) {
    const distance = distanceToLine(line[at]!, first, last);
    if (distance > most) [furthest, most] = [at, distance];
  }
  if (furthest < 0) return line.length > 1 ? [first, last] : [first];
  return [...simplified(line.slice(0, furthest + 1), far).slice(0, -1), ...simplified(line.slice(furthest), far)];
}

function distanceToLine([x, y]: readonly [number, number], [ax, ay]: readonly [number, number], [bx, by]: readonly [number, number]): number {
  const length = Math.hypot(bx - ax, by - ay);
  if (!length) return Math.hypot(x - ax, y - ay);
  return Math.abs((bx - ax) * (ay - y) - (ax - x) * (by - ay)) / length;
}
