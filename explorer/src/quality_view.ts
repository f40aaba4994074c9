// Quality: how well so many components keep what the labels say, and what a classifier mistakes for what.

import { confusedPairs, confusionGrid, suspectsPanel, type Shown } from "./confusion";
import { fill, h } from "./element";
import { refreshMarks, table } from "./parts";
import type { AtK, Classifier, Quality, Share, Split } from "./quality";
import { qualityCurve } from "./quality_curve";
import { count, pictures } from "./words";

export class QualityView {
  readonly element = h("section", { className: "page quality", aria: { label: "Quality" } });

  constructor(
    private readonly quality: Quality,
    private readonly shown: Shown,
  ) {
    shown.reviews.onChange(() => refreshMarks(this.element, shown.data, shown.reviews));
  }

  render(): void {
    const { quality, shown } = this;
    fill(
      this.element,
      h("h1", {}, "Quality"),
      h("p", { className: "sentence" }, quality.sentence),
      h("p", { className: "soft" }, judgedWords(quality)),
      h(
        "div",
        { className: "panel" },
        h("h2", {}, "Accuracy by the number of components"),
        h("p", { className: "soft" }, "How often the nearest pictures carry a picture's own label. Balanced: each label counts the same, however many pictures it has."),
        quality.features === null ? null : qualityCurve(quality, quality.features),
        h("p", {}, `k = ${count(quality.k)}: ${quality.chosen}.`),
        quality.features === null ? null : numbers(quality, quality.features),
      ),
      quality.split && splitPanel(quality.split),
      ...(quality.classifier ? classifierPanels(quality.classifier, shown) : []),
    );
  }
}

function judgedWords({ images, of_images: all, judged, labels }: Quality): string {
  const sample = images < all ? `A sample of ${count(images)} of ${pictures(all)}` : pictures(images);
  return `${sample}, ${count(labels)} ${labels === 1 ? "label" : "labels"}. ${pictures(judged)} could be judged: their label has another picture.`;
}

function share({ value, low, high }: Share): string {
  return `${oneDecimal(value)} % (${oneDecimal(low)} to ${oneDecimal(high)})`;
}

const oneDecimal = (value: number): string => (value * 100).toFixed(1);

function numbers({ by_k: byK, split, k: kept }: Quality, features: AtK): HTMLElement {
  const tested = new Map(split ? [...split.by_k, { k: features.k, ...split.features }].map((one) => [one.k, one]) : []);
  const head = ["components", "variance", "accuracy", "balanced", ...(split ? ["Test judged by Training", "without near-duplicates"] : [])];
  const rows = [...byK, features].map(({ k, variance, accuracy, balanced }) => {
    const name = k === features.k ? `all ${count(k)} features` : k === kept ? `${count(k)} (k)` : count(k);
    const test = tested.get(k);
    const more = split ? [test ? share(test.accuracy) : "–", test?.without_duplicates ? share(test.without_duplicates) : "–"] : [];
    return [name, `${oneDecimal(variance)} %`, share(accuracy), share(balanced), ...more];
  });
  return h("div", {}, table(head, rows, [1, 2, 3, 4, 5]), h("p", { className: "soft" }, "In brackets: the confidence interval."));
}

function splitPanel({ training, test, near_duplicates: near, features }: Split): HTMLElement {
  const without = features.without_duplicates ? ` Without them it is ${share(features.without_duplicates)}.` : "";
  return h(
    "div",
    { className: "panel" },
    h("h2", {}, "Test judged by Training"),
    h("p", {}, `${pictures(test)} of Test, each judged by the nearest of ${count(training)} of Training: with all features ${share(features.accuracy)} are right.`),
    near === null
      ? h("p", {}, "Near-duplicates were not looked for.")
      : h("p", {}, `${pictures(near)} of Test ${near === 1 ? "has" : "have"} a near-duplicate in Training.${without}`),
  );
}

function classifierPanels(classifier: Classifier, shown: Shown): Node[] {
  const { components, features, images, folds, grouped, tested_on: on } = classifier;
  const together = grouped ? ", with groups of duplicates kept together" : "";
  const how = on === "Test" ? "tested on Test" : `tested by ${on} in ${count(folds)} parts${together}`;
  const rows = [
    [`${count(components.k)} components`, share(components.accuracy), share(components.balanced)],
    ["all features", share(features.accuracy), share(features.balanced)],
  ];
  return [
    h(
      "div",
      { className: "panel" },
      h("h2", {}, "A classifier that learns the labels"),
      h("p", {}, `Of ${pictures(images)}, ${how}.`),
      table(["it learns from", "accuracy", "balanced"], rows, [1, 2]),
    ),
    h("div", { className: "panel" }, h("h2", {}, "What it takes for what"), confusionGrid(classifier)),
    h("div", { className: "panel" }, h("h2", {}, "Most confused"), confusedPairs(classifier.confused, shown)),
    ...(classifier.suspects?.length ? [suspectsPanel(classifier.suspects, shown)] : []),
  ];
}
