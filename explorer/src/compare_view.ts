// Compare: one picture with all, with its most similar group, or two labels with each other.

import { css, labelColour } from "./colours";
import { fileName, labelName, type Dataset } from "./dataset";
import { fill, h } from "./element";
import {
  distanceBetween, distancesTo, groupsByDistance, placeOf, quantile, shareBelow, shareOfMembers, smallest, sorted,
} from "./geometry";
import { card, showMore, sign, spreadOf, spreadRow } from "./parts";
import type { Reviews } from "./review";
import { thumbnail } from "./thumbnails";
import { count, decimal, percent, pictures, standing, withLabel } from "./words";

export type Comparison = "all" | "similar" | "labels";
const ROWS = 10;
const CARDS = 6;

interface Options {
  dark(): boolean;
  reviews: Reviews;
  choose(picture: number): void;
  pickOnMap(): void;
}

export class CompareView {
  readonly element = h("section", { className: "page compare", aria: { label: "Compare" } });
  private kind: Comparison = "labels";
  private picture = -1;
  private left = 0;
  private right = 1;
  private rows = ROWS;

  constructor(
    private readonly data: Dataset,
    private readonly options: Options,
  ) {
    this.right = groupsByDistance(data.centres, data.centres[0] ?? [], 0)[0] ?? 0;
  }

  show(change: { kind?: Comparison; picture?: number } = {}): void {
    this.kind = change.kind ?? this.kind;
    this.picture = change.picture ?? this.picture;
    if (this.picture < 0 && !change.kind) this.kind = "labels";
    this.render();
  }

  render(): void {
    const kinds: [Comparison, string][] = [
      ["all", "This picture with all"],
      ["similar", "This picture with its most similar group"],
      ["labels", "Two labels"],
    ];
    fill(
      this.element,
      h("h1", {}, "Compare"),
      h(
        "div",
        { className: "segments", aria: { role: "group", label: "What to compare" } },
        ...kinds.map(([kind, name]) =>
          h(
            "button",
            {
              type: "button",
              aria: { pressed: String(kind === this.kind) },
              on: {
                click: () => {
                  this.kind = kind;
                  this.rows = ROWS;
                  this.render();
                },
              },
            },
            name,
          ),
        ),
      ),
      ...(this.kind === "labels" ? this.labels() : this.picture < 0 ? [this.nothing()] : this.onePicture()),
    );
  }

  private nothing(): HTMLElement {
    return h(
      "div",
      { className: "panel" },
      h("p", {}, "Choose a picture on the map first."),
      h("button", { type: "button", on: { click: this.options.pickOnMap } }, "Go to the map"),
    );
  }

  private onePicture(): Node[] {
    const { data, picture } = this;
    const place = placeOf(data.components, picture);
    const own = data.label[picture]!;
    const ranked = groupsByDistance(data.centres, place, own);
    const group = this.kind === "similar" ? (ranked[0] ?? -1) : -1;
    if (this.kind === "similar" && group < 0) return [h("p", {}, "There is only one label.")];
    const members = group < 0 ? undefined : data.members[group]!;
    const name = group < 0 ? "all pictures" : `the pictures ${withLabel(data, group)}`;
    const others = members ? [...members] : null;
    const distances = members ? distancesTo(data.components, data.centres[group]!) : data.fromAll;
    const reach = distances[picture]!;
    const share = shareOfMembers(distances, members ?? Int32Array.from({ length: data.n }, (_, at) => at), picture);
    const away = `It is ${standing(share, "further from the middle", "nearer to the middle", name)}.`;
    const near = smallest(distancesTo(data.components, place), CARDS, (at) => at !== picture && (!others || data.label[at] === group));
    return [
      h(
        "div",
        { className: "panel versus" },
        h(
          "div",
          { className: "versus-side" },
          thumbnail(data, picture, 112),
          h("p", { className: "chip" }, sign(data.labels[own]!, this.options.dark()), h("span", {}, labelName(data, own))),
          h("p", { className: "file" }, fileName(data, picture)),
        ),
        h(
          "div",
          { className: "versus-text" },
          h("h2", {}, group < 0 ? "Against all pictures" : `Against “${labelName(data, group)}”`),
          h("p", {}, group < 0 ? away : this.similarWords(picture, group, away)),
          h("p", { className: "soft" }, `Distance ${decimal(reach)} from that middle, in all ${data.k} components.`),
          h("h3", {}, group < 0 ? "Nearest of all" : "Nearest of that group"),
          h(
            "div",
            { className: "cards six" },
            ...near.map((one) =>
              card(data, one.picture, { size: 64, dark: this.options.dark(), reviews: this.options.reviews, note: `at ${decimal(one.distance)}`, choose: this.options.choose }),
            ),
          ),
        ),
      ),
      this.componentTable(
        [
          { className: "first", label: own, name: fileName(data, picture), value: (c) => data.components[c]![picture]! },
          { className: "second", label: group, name: group < 0 ? "all pictures" : labelName(data, group), members: members ?? null },
        ],
        (c) => {
          const values = data.components[c]!;
          return `${standing(shareOfMembers(values, members ?? Int32Array.from(values.keys()), picture), "higher", "lower", name)}`;
        },
      ),
    ];
  }

  private similarWords(picture: number, group: number, away: string): string {
    const { data } = this;
    const place = placeOf(data.components, picture);
    const own = distanceBetween(place, data.centres[data.label[picture]!]!);
    const other = distanceBetween(place, data.centres[group]!);
    const nearer =
      other < own
        ? `It lies nearer to the middle of “${labelName(data, group)}” than to the middle of its own label.`
        : `Of all other labels this one's middle is nearest, but its own is nearer still.`;
    return `${nearer} ${away}`;
  }

  private labels(): Node[] {
    const { data, left, right } = this;
    if (data.labels.length < 2) return [h("p", {}, "There is only one label: nothing to compare it with.")];
    const choose = (name: string, now: number, set: (label: number) => void): HTMLElement => {
      const list = h(
        "select",
        { aria: { label: name } },
        ...data.labels.map((_, label) => h("option", { value: String(label), selected: label === now }, labelName(data, label))),
      );
      list.addEventListener("change", () => {
        set(Number(list.value));
        this.render();
        this.element.querySelector<HTMLSelectElement>(`select[aria-label="${name}"]`)?.focus();
      });
      return list;
    };
    const pick = h(
      "div",
      { className: "pick-labels" },
      choose("First label", left, (label) => (this.left = label)),
      h("span", { className: "soft" }, "with"),
      choose("Second label", right, (label) => (this.right = label)),
    );
    if (left === right) return [pick, h("p", {}, "Choose two different labels.")];
    return [
      pick,
      h("div", { className: "two" }, this.labelSide(left, right, "first"), this.labelSide(right, left, "second")),
      this.componentTable(
        [
          { className: "first", label: left, name: labelName(data, left), members: data.members[left]! },
          { className: "second", label: right, name: labelName(data, right), members: data.members[right]! },
        ],
        (c) => {
          const [a, b] = [data.members[left]!, data.members[right]!].map((members) => sorted(data.components[c]!, members));
          const above = shareBelow(b!, quantile(a!, 0.5));
          return `the middle of the first is ${standing(above, "higher", "lower", "the second")}`;
        },
      ),
    ];
  }

  private labelSide(label: number, other: number, className: string): HTMLElement {
    const { data } = this;
    const toOther = distancesTo(data.components, data.centres[other]!);
    const members = data.members[label]!;
    const crossing = [...members].filter((at) => toOther[at]! < data.fromGroup[at]!);
    const typical = smallest(data.fromGroup, CARDS, (at) => data.label[at] === label);
    const border = smallest(toOther, CARDS, (at) => data.label[at] === label);
    const cards = (found: { picture: number }[]): HTMLElement =>
      h(
        "div",
        { className: "cards six" },
        ...found.map((one) =>
          card(data, one.picture, {
            size: 64,
            dark: this.options.dark(),
            reviews: this.options.reviews,
            odd: toOther[one.picture]! < data.fromGroup[one.picture]!,
            choose: this.options.choose,
          }),
        ),
      );
    const share = crossing.length / members.length;
    const words = crossing.length
      ? `${count(crossing.length)} of ${pictures(members.length)} (${percent(share)}) lie nearer to the middle of “${labelName(data, other)}” than to their own.`
      : `None of ${pictures(members.length)} lies nearer to the middle of “${labelName(data, other)}” than to its own.`;
    return this.coloured(
      label,
      "div",
      { className: `panel side ${className}` },
      h("h2", { className: "chip" }, sign(data.labels[label]!, this.options.dark()), h("span", {}, labelName(data, label))),
      h("p", {}, words),
      h("h3", {}, "Most typical"),
      cards(typical),
      h("h3", {}, `Nearest to “${labelName(data, other)}”`),
      cards(border),
    );
  }

  private colour(label: number): string {
    return label < 0 ? "var(--soft)" : css(labelColour(this.data.labels[label]!, this.options.dark()));
  }

  /** An element whose bars and borders have the colour of a label. */
  private coloured(label: number, ...made: Parameters<typeof h>): HTMLElement {
    const element = h(...made) as HTMLElement;
    element.style.setProperty("--side", this.colour(label));
    return element;
  }

  private componentTable(
    sides: Side[],
    words: (component: number) => string,
  ): HTMLElement {
    const { data } = this;
    const rows = Array.from({ length: Math.min(this.rows, data.k) }, (_, c) => {
      const all = sorted(data.components[c]!);
      return h(
        "li",
        {},
        h("span", { className: "row-name" }, `Component ${c + 1}`),
        spreadRow(
          all[0]!,
          all[all.length - 1]!,
          sides.map(({ className, label, members, value }) => ({
            className,
            colour: this.colour(label),
            spread: members === undefined ? undefined : spreadOf(members ? sorted(data.components[c]!, members) : all),
            value: value?.(c),
          })),
        ),
        h("span", { className: "row-words" }, words(c)),
      );
    });
    const more = showMore(() => {
      this.rows += 20;
      this.render();
    }, "Show more components");
    return h(
      "div",
      { className: "panel" },
      h("h2", {}, "On each component"),
      h(
        "p",
        { className: "key" },
        ...sides.map(({ className, label, name, value }) =>
          this.coloured(label, "span", { className }, h("span", { className: value ? "key-mark" : "key-box" }), ` ${name}`),
        ),
      ),
      h("p", { className: "soft" }, "The line holds nine of ten pictures, the box the half in the middle, the stroke in it is the median."),
      h("ul", { className: "rows" }, ...rows),
      this.rows < data.k ? more : null,
    );
  }
}

/** One of the two that are compared; the label -1 stands for all pictures. */
interface Side {
  className: string;
  label: number;
  name: string;
  members?: Int32Array | null;
  value?: (component: number) => number;
}
