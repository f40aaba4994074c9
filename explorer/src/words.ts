// Numbers as plain words: nothing here says more than the number does.

import type { Dataset } from "./dataset";
import { labelName } from "./dataset";
import type { Surroundings } from "./findings";
import { FEWEST_MEMBERS } from "./findings";

const whole = new Intl.NumberFormat("en");

export const count = (value: number): string => whole.format(value);

export function pictures(value: number): string {
  return `${count(value)} ${value === 1 ? "picture" : "pictures"}`;
}

/** How many are shown, and of how many where that is a part. */
export function shownOf(shown: number, of: number | undefined): string {
  return of !== undefined && of > shown ? `a sample of ${count(shown)} of ${pictures(of)}` : pictures(shown);
}

/** A share as whole percent, never rounded up to all or down to none. */
export function percent(share: number): string {
  if (share > 0 && share < 0.01) return "less than 1 %";
  if (share < 1 && share > 0.99) return "99 %";
  return `${Math.round(share * 100)} %`;
}

export function decimal(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits).replace("-", "−");
}

/** `labelled “apple”`, or `without a label`. */
export function withLabel(data: Dataset, label: number): string {
  return data.labels[label] ? `labelled “${labelName(data, label)}”` : "without a label";
}

/** "further from … than 97 % of …": the share is of those that are smaller. */
export function standing(share: number, more: string, less: string, than: string): string {
  if (share >= 1) return `${more} than all ${than}`;
  if (share <= 0) return `${less} than all ${than}`;
  return share >= 0.5 ? `${more} than ${percent(share)} of ${than}` : `${less} than ${percent(1 - share)} of ${than}`;
}

export interface Verdict {
  kind: "mislabelled" | "unusual" | "usual" | "unknown";
  title: string;
  because: string;
}

export function verdictOf(
  data: Dataset,
  picture: number,
  around: Surroundings,
  mislabelled: boolean,
  unusual: boolean,
  standsInGroup: string,
): Verdict {
  const members = data.members[data.label[picture]!]!.length;
  const nearest = `${around.agreeing} of its ${around.looked} nearest pictures carry its label`;
  if (mislabelled) {
    const own = around.agreeing === 0 ? "none carries its own" : `${around.agreeing} its own`;
    const other = data.labels[around.other] ? `the label “${data.labels[around.other]}”` : "no label";
    return {
      kind: "mislabelled",
      title: "May be mislabelled",
      because: `Of its ${around.looked} nearest pictures ${around.others} carry ${other}, ${own}.`,
    };
  }
  if (members < FEWEST_MEMBERS) {
    return {
      kind: "unknown",
      title: "Too few to tell",
      because: `Only ${pictures(members)} ${members === 1 ? "is" : "are"} ${withLabel(data, data.label[picture]!)}.`,
    };
  }
  if (unusual) {
    return { kind: "unusual", title: "Unusual for its label", because: `It is ${standsInGroup}; ${nearest}.` };
  }
  return { kind: "usual", title: "Fits its label", because: `It is ${standsInGroup}; ${nearest}.` };
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function usd(value: number): string {
  if (value > 0 && value < 0.01) return "less than 1 US cent";
  return `$${value.toFixed(2)}`;
}

export function fileSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

export function moment(iso: string): string {
  const when = new Date(iso);
  return Number.isNaN(when.valueOf()) ? iso : `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
}
