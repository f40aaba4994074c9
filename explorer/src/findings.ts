// Whether a picture looks mislabelled or unusual: one rule, used by the lists and by the picture's own page.

import type { Dataset } from "./dataset";
import { quantile, sorted } from "./geometry";

/** Fewer pictures of a label tell nothing about what is usual for it. */
export const FEWEST_MEMBERS = 4;
const FEWEST_FOR_USUAL = 8;
/** At least this share of the nearest carry one other label, and at most that share of those possible its own. */
const MOST_OTHERS = 0.6;
const FEW_OWN = 0.2;
/** Tukey's fence: this many interquartile ranges beyond the third quartile. */
const FENCE = 1.5;

export interface Surroundings {
  /** Pictures looked at. */
  looked: number;
  /** Of those, with the same label. */
  agreeing: number;
  /** The label most of the others have; -1 for none. */
  other: number;
  others: number;
}

export function surroundingsOf(data: Dataset, picture: number, neighbours: readonly number[]): Surroundings {
  const counts = new Map<number, number>();
  for (const at of neighbours) counts.set(data.label[at]!, (counts.get(data.label[at]!) ?? 0) + 1);
  const own = data.label[picture]!;
  let other = -1;
  for (const [label, count] of counts) {
    if (label !== own && count > (counts.get(other) ?? 0)) other = label;
  }
  return {
    looked: neighbours.length,
    agreeing: counts.get(own) ?? 0,
    other,
    others: counts.get(other) ?? 0,
  };
}

export function looksMislabelled(data: Dataset, picture: number, around: Surroundings): boolean {
  const members = data.members[data.label[picture]!]!.length;
  const possible = Math.min(around.looked, members - 1);
  return (
    members >= FEWEST_MEMBERS && around.others >= MOST_OTHERS * around.looked && around.agreeing <= FEW_OWN * possible
  );
}

/** For each label the distance from its middle beyond which a picture is unusual; infinite for small ones. */
export function unusualBeyond(data: Dataset): Float64Array {
  return Float64Array.from(data.members, (members) => {
    if (members.length < FEWEST_FOR_USUAL) return Infinity;
    const distances = sorted(data.fromGroup, members);
    const [low, high] = [quantile(distances, 0.25), quantile(distances, 0.75)];
    return high + FENCE * (high - low);
  });
}

export interface Findings {
  /** 1 where it looks so; null when the run had too many pictures to calculate it for all. */
  mislabelled: Uint8Array | null;
  unusual: Uint8Array;
  beyond: Float64Array;
}

export function findAll(data: Dataset): Findings {
  const beyond = unusualBeyond(data);
  const unusual = Uint8Array.from(data.fromGroup, (distance, at) => (distance > beyond[data.label[at]!]! ? 1 : 0));
  const around = data.around;
  const looked = Math.min(data.about.neighbours, data.n - 1);
  const mislabelled =
    around &&
    Uint8Array.from({ length: data.n }, (_, at) => {
      const found = { looked, agreeing: around.agreeing[at]!, other: around.other[at]!, others: around.others[at]! };
      return looksMislabelled(data, at, found) ? 1 : 0;
    });
  return { mislabelled, unusual, beyond };
}
