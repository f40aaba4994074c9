// What `data/quality.json` says (docs/formats.md): how well the components keep what the labels say.

import { readJson } from "./files";

/** A share with the interval that its true value is expected in. */
export interface Share {
  value: number;
  low: number;
  high: number;
}

export interface AtK {
  k: number;
  variance: number;
  accuracy: Share;
  balanced: Share;
}

/** Pictures of Test, judged by those of Training. */
export interface TestAtK {
  k: number;
  accuracy: Share;
  balanced: Share;
  without_duplicates: Share | null;
}

export interface Split {
  training: number;
  test: number;
  /** Null where none were looked for. */
  near_duplicates: number | null;
  by_k: TestAtK[];
  features: Omit<TestAtK, "k">;
}

export interface Classifier {
  images: number;
  folds: number;
  grouped: boolean;
  tested_on: string;
  components: { k: number; accuracy: Share; balanced: Share };
  features: { accuracy: Share; balanced: Share };
  labels: string[];
  confusion: number[][];
  confusion_labels: string[];
  confused: { label: string; taken_for: string; images: number; paths: string[] }[];
  suspects?: { path: string; label: string; taken_for: string; probability: number }[];
}

export interface FoundDuplicates {
  /** Null where near-duplicates were not looked for: the weights are random. */
  bound: number | null;
  looked_at: string;
  same_bytes: { groups: number; images: number };
  near: { groups: number; images: number };
  within_a_label: number;
  across_labels: number;
  across_the_split: number;
}

export interface Quality {
  format: number;
  sentence: string;
  images: number;
  of_images: number;
  labels: number;
  judged: number;
  k: number;
  chosen: string;
  by_k: AtK[];
  /** Null, and `by_k` empty, where there are not two labels to tell apart. */
  features: AtK | null;
  split: Split | null;
  classifier: Classifier | null;
  duplicates: FoundDuplicates;
}

/** What was published of it; null in results of earlier versions, and of later ones that this page cannot read. */
export async function loadQuality(): Promise<Quality | null> {
  try {
    const quality = (await readJson("quality.json")) as Quality;
    return quality.format === 1 ? quality : null;
  } catch {
    return null;
  }
}
