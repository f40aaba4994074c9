// Distances in the space of all components: exact, over columns of one component each.

type Columns = readonly Float32Array[];

export function meanOf(components: Columns): Float64Array {
  return Float64Array.from(components, (column) => {
    let sum = 0;
    for (let at = 0; at < column.length; at++) sum += column[at]!;
    return sum / Math.max(1, column.length);
  });
}

/** The mean of each group, [k] each. */
export function groupCentres(components: Columns, members: readonly Int32Array[]): Float64Array[] {
  return members.map((group) =>
    Float64Array.from(components, (column) => {
      let sum = 0;
      for (const at of group) sum += column[at]!;
      return sum / group.length;
    }),
  );
}

/** Euclidean distance of every picture to a place. */
export function distancesTo(components: Columns, place: ArrayLike<number>): Float32Array {
  const sums = new Float32Array(components[0]?.length ?? 0);
  components.forEach((column, c) => {
    const here = place[c]!;
    for (let at = 0; at < sums.length; at++) {
      const d = column[at]! - here;
      sums[at]! += d * d;
    }
  });
  for (let at = 0; at < sums.length; at++) sums[at] = Math.sqrt(sums[at]!);
  return sums;
}

/** Euclidean distance of every picture to the centre of its own group. */
export function groupDistances(components: Columns, label: Int32Array, centres: readonly Float64Array[]): Float32Array {
  const sums = new Float32Array(label.length);
  components.forEach((column, c) => {
    const places = Float64Array.from(centres, (centre) => centre[c]!);
    for (let at = 0; at < sums.length; at++) {
      const d = column[at]! - places[label[at]!]!;
      sums[at]! += d * d;
    }
  });
  for (let at = 0; at < sums.length; at++) sums[at] = Math.sqrt(sums[at]!);
  return sums;
}

export function placeOf(components: Columns, picture: number): Float64Array {
  return Float64Array.from(components, (column) => column[picture]!);
}

export interface Neighbour {
  picture: number;
  distance: number;
}

/** The nearest pictures, nearest first, without the picture itself. */
export function nearestTo(components: Columns, picture: number, wanted: number): Neighbour[] {
  return smallest(distancesTo(components, placeOf(components, picture)), wanted, (at) => at !== picture);
}

/** The `wanted` smallest of some distances, smallest first. */
export function smallest(distances: Float32Array, wanted: number, counts: (at: number) => boolean): Neighbour[] {
  const found: Neighbour[] = [];
  let worst = Infinity;
  for (let at = 0; at < distances.length; at++) {
    const distance = distances[at]!;
    if (distance >= worst || !counts(at)) continue;
    let place = found.length;
    while (place > 0 && found[place - 1]!.distance > distance) place--;
    found.splice(place, 0, { picture: at, distance });
    if (found.length > wanted) found.pop();
    if (found.length === wanted) worst = found[wanted - 1]!.distance;
  }
  return found;
}

export function distanceBetween(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let c = 0; c < a.length; c++) sum += (a[c]! - b[c]!) ** 2;
  return Math.sqrt(sum);
}

/** The other groups by the distance of their centres from a place, nearest first. */
export function groupsByDistance(centres: readonly Float64Array[], place: ArrayLike<number>, except: number): number[] {
  return centres
    .map((centre, label) => ({ label, distance: distanceBetween(centre, place) }))
    .filter(({ label }) => label !== except)
    .sort((a, b) => a.distance - b.distance)
    .map(({ label }) => label);
}

/** Values in ascending order, of all pictures or of some. */
export function sorted(values: Float32Array | Float64Array, members?: Int32Array): Float64Array {
  const found = members ? Float64Array.from(members, (at) => values[at]!) : Float64Array.from(values);
  return found.sort();
}

/** The value below which a share of ascending values lies, between neighbours linearly. */
export function quantile(ascending: Float64Array, share: number): number {
  const place = share * (ascending.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, ascending.length - 1);
  return ascending[low]! + (ascending[high]! - ascending[low]!) * (place - low);
}

/** How many of ascending values are smaller. */
export function countBelow(ascending: Float64Array, value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The share of the others (of ascending values that hold this one) that are smaller, 0 to 1. */
export function shareBelow(ascending: Float64Array, value: number): number {
  return ascending.length < 2 ? 0 : Math.min(1, countBelow(ascending, value) / (ascending.length - 1));
}

/** The share of the other members whose value is smaller than a picture's, 0 to 1. */
export function shareOfMembers(values: Float32Array, members: Int32Array, picture: number): number {
  let below = 0;
  let others = 0;
  for (const at of members) {
    if (at === picture) continue;
    others++;
    if (values[at]! < values[picture]!) below++;
  }
  return others ? below / others : 0;
}
