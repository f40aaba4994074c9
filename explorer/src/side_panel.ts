// Beside the map: all pictures that are shown, those of a selection, or one that is explained.

import { labelName, type Dataset } from "./dataset";
import { fill, h } from "./element";
import type { Findings } from "./findings";
import type { Neighbour } from "./geometry";
import { card, refreshMarks, showMore, sign } from "./parts";
import { picturePanel } from "./picture_panel";
import type { Reviews } from "./review";
import { reviewBar, reviewForm } from "./review_form";
import { isDark } from "./theme";
import { count } from "./words";

const CARDS_AT_ONCE = 60;
const LABELS_TOLD = 8;

interface Callbacks {
  choose(picture: number): void;
  compare(kind: "all" | "similar"): void;
  clearSelection(): void;
}

export interface Looked {
  /** The picture that is explained, with its nearest ones; -1 for none. */
  picture: number;
  near: readonly Neighbour[];
  /** What the filters and the selection leave. */
  found: readonly number[];
  isSelection: boolean;
  isFiltered: boolean;
}

export class SidePanel {
  readonly element = h("aside", { className: "side-panel", aria: { label: "Pictures" } });
  private readonly bar: HTMLElement;
  private cards = CARDS_AT_ONCE;
  private looked: Looked = { picture: -1, near: [], found: [], isSelection: false, isFiltered: false };

  constructor(
    private readonly data: Dataset,
    private readonly findings: Findings,
    private readonly reviews: Reviews,
    private readonly callbacks: Callbacks,
  ) {
    this.bar = reviewBar(data, reviews);
    reviews.onChange(() => refreshMarks(this.element, data, reviews));
  }

  show(looked: Looked): void {
    if (looked.found !== this.looked.found) this.cards = CARDS_AT_ONCE;
    if (looked.picture !== this.looked.picture) this.element.scrollTop = 0;
    this.looked = looked;
    this.render();
  }

  render(): void {
    const inside = this.element.contains(document.activeElement);
    fill(this.element, this.bar, ...(this.looked.picture >= 0 ? [this.picture()] : this.gallery()));
    // Whoever came by keyboard goes on from the top of what is new.
    if (inside) this.element.querySelector<HTMLElement>(":scope > :not(.review-bar) button, :scope > button")?.focus({ preventScroll: true });
  }

  private picture(): HTMLElement {
    const { data, reviews, looked } = this;
    return picturePanel(data, this.findings, looked.picture, looked.near, {
      dark: isDark(),
      reviews,
      choose: this.callbacks.choose,
      close: () => this.callbacks.choose(-1),
      compare: this.callbacks.compare,
    });
  }

  private gallery(): Node[] {
    const { found, isSelection, isFiltered } = this.looked;
    const title = isSelection ? "Selected" : isFiltered ? "Found" : "Pictures";
    const more = showMore(() => {
      this.cards += CARDS_AT_ONCE;
      this.render();
    });
    const cards = found.slice(0, this.cards).map((picture) =>
      card(this.data, picture, { size: 64, dark: isDark(), reviews: this.reviews, choose: this.callbacks.choose }),
    );
    return [
      h("h2", {}, `${title} (${count(found.length)})`),
      ...(isSelection ? this.selection() : [h("p", { className: "soft" }, "Choose one here or on the map to see what is known about it.")]),
      h("div", { className: "cards" }, ...cards),
      ...(found.length > this.cards ? [more] : []),
      ...(found.length ? [] : [h("p", {}, isSelection ? "No picture lies in what was drawn." : "No picture fits the filters.")]),
    ];
  }

  private selection(): Node[] {
    const { data, looked } = this;
    const counts = new Int32Array(data.labels.length);
    for (const picture of looked.found) counts[data.label[picture]!]!++;
    const labels = [...counts.keys()].filter((label) => counts[label]! > 0).sort((a, b) => counts[b]! - counts[a]!);
    const rest = labels.slice(LABELS_TOLD);
    const row = (label: number): HTMLElement =>
      h(
        "li",
        {},
        sign(data.labels[label]!, isDark()),
        h("span", { className: "label-name" }, labelName(data, label)),
        h("span", { className: "number" }, count(counts[label]!)),
      );
    return [
      h("button", { type: "button", className: "quiet", on: { click: this.callbacks.clearSelection } }, "Clear the selection"),
      h(
        "ul",
        { className: "counts", aria: { label: "Selected pictures by label" } },
        ...labels.slice(0, LABELS_TOLD).map(row),
        rest.length > 0 && h("li", { className: "soft" }, `and ${count(rest.length)} other ${rest.length === 1 ? "label" : "labels"}`),
      ),
      ...(looked.found.length ? [reviewForm(data, this.reviews, looked.found.map((picture) => data.paths[picture]!))] : []),
    ];
  }
}
