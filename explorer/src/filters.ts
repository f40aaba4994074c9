// The filters beside the map.

import { labelName, type Dataset } from "./dataset";
import { fill, h } from "./element";
import type { Findings } from "./findings";
import { sign } from "./parts";
import { EVERYTHING, type Choice, type Measure, type Quick } from "./store";
import { count, decimal } from "./words";

interface Options {
  dark(): boolean;
  change(choice: Choice): void;
  highlight(label: number): void;
  /** Looks beyond the pictures that are shown; null where all are. */
  everywhere: { element: HTMLElement; look(text: string): void } | null;
}

export class Filters {
  readonly element: HTMLElement;
  private choice: Choice = EVERYTHING;
  private readonly search: HTMLInputElement;
  private readonly labels = h("ul", { className: "labels" });
  private readonly quick = h("div", { className: "quick", aria: { role: "group", label: "Show" } });
  private readonly ranges = h("div", { className: "ranges" });
  private waiting = 0;
  private marked: Uint8Array = new Uint8Array(0);

  constructor(
    private readonly data: Dataset,
    private readonly findings: Findings,
    private readonly measures: readonly Measure[],
    private readonly options: Options,
  ) {
    this.search = h("input", {
      type: "search",
      id: "search",
      placeholder: "Label or file name",
      autocomplete: "off",
      spellcheck: false,
      on: {
        input: () => {
          clearTimeout(this.waiting);
          this.waiting = window.setTimeout(() => this.set({ search: this.search.value }), 120);
        },
      },
    });
    const add = h(
      "select",
      { id: "add-number", aria: { label: "Add a filter by a number" } },
      h("option", { value: "" }, "Add a number …"),
      ...measures.map(({ key, name }) => h("option", { value: key }, name)),
    );
    add.addEventListener("change", () => {
      if (add.value) this.addRange(add.value);
      add.value = "";
    });
    this.element = h(
      "section",
      { className: "filters", aria: { label: "Filters" } },
      h("label", { className: "group-title", htmlFor: "search" }, "Search"),
      this.search,
      options.everywhere?.element ?? null,
      h("div", { className: "group-title" }, "Show"),
      this.quick,
      h(
        "div",
        { className: "group-title spread-title" },
        h("span", {}, `Labels (${count(data.labels.length)})`),
        h(
          "span",
          {},
          h("button", { type: "button", className: "link", on: { click: () => this.set({ hidden: new Set() }) } }, "all"),
          " · ",
          h(
            "button",
            { type: "button", className: "link", on: { click: () => this.set({ hidden: new Set(data.labels.keys()) }) } },
            "none",
          ),
        ),
      ),
      this.labels,
      h("div", { className: "group-title" }, "Numbers"),
      this.ranges,
      add,
      h("button", { type: "button", className: "quiet reset", on: { click: () => this.reset() } }, "Clear all filters"),
    );
    this.render();
  }

  reset(): void {
    this.search.value = "";
    fill(this.ranges);
    this.set(EVERYTHING);
  }

  /** Draws signs and marks again, e.g. in the colours of the other theme. */
  render(): void {
    this.renderQuick();
    fill(this.labels, ...this.data.labels.map((_, label) => this.labelRow(label)));
  }

  /** Which pictures the review has marked. */
  showMarks(marked: Uint8Array): void {
    this.marked = marked;
    this.renderQuick();
  }

  private set(change: Partial<Choice>): void {
    this.choice = { ...this.choice, ...change };
    if (change.quick) this.renderQuick();
    if (change.search !== undefined) this.options.everywhere?.look(change.search.trim());
    if (change.hidden) {
      this.labels.querySelectorAll("input").forEach((box, label) => (box.checked = !this.choice.hidden.has(label)));
    }
    this.options.change(this.choice);
  }

  private renderQuick(): void {
    const sum = (flags: ArrayLike<number> | null, kind: number): number => {
      let found = 0;
      for (let at = 0; flags && at < flags.length; at++) if (flags[at] === kind) found++;
      return found;
    };
    const kinds: [Quick, string, number][] = [
      ["all", "All", this.data.n],
      ["mislabelled", "May be mislabelled", sum(this.findings.mislabelled, 1)],
      ["unusual", "Unusual for its label", sum(this.findings.unusual, 1)],
      ["new", "New", sum(this.data.change, 1)],
      ["changed", "Changed", sum(this.data.change, 2)],
      ["marked", "Marked", sum(this.marked, 1)],
    ];
    const shown = kinds.filter(([kind, , found]) => found > 0 || kind === "all" || kind === this.choice.quick);
    fill(
      this.quick,
      ...shown.map(([kind, name, found]) =>
        h(
          "button",
          {
            type: "button",
            className: "pill",
            aria: { pressed: String(this.choice.quick === kind) },
            on: { click: () => this.set({ quick: kind }) },
          },
          `${name} `,
          h("span", { className: "soft" }, count(found)),
        ),
      ),
    );
  }

  private labelRow(label: number): HTMLElement {
    const box = h("input", {
      type: "checkbox",
      checked: !this.choice.hidden.has(label),
      on: {
        change: () => {
          const hidden = new Set(this.choice.hidden);
          if (box.checked) hidden.delete(label);
          else hidden.add(label);
          this.set({ hidden });
        },
        focus: () => this.options.highlight(label),
        blur: () => this.options.highlight(-1),
      },
    });
    return h(
      "li",
      { on: { pointerenter: () => this.options.highlight(label), pointerleave: () => this.options.highlight(-1) } },
      h(
        "label",
        {},
        box,
        sign(this.data.labels[label]!, this.options.dark()),
        h("span", { className: "label-name" }, labelName(this.data, label)),
        h("span", { className: "soft number" }, count(this.data.members[label]!.length)),
      ),
      h(
        "button",
        {
          type: "button",
          className: "link only",
          aria: { label: `Only ${labelName(this.data, label)}` },
          on: { click: () => this.set({ hidden: new Set([...this.data.labels.keys()].filter((one) => one !== label)) }) },
        },
        "only",
      ),
    );
  }

  private addRange(key: string): void {
    const measure = this.measures.find((one) => one.key === key);
    if (!measure || this.choice.ranges.some((range) => range.key === key)) return;
    let [low, high] = [Infinity, -Infinity];
    for (let at = 0; at < measure.values.length; at++) {
      low = Math.min(low, measure.values[at]!);
      high = Math.max(high, measure.values[at]!);
    }
    const words = h("span", { className: "soft number" });
    const steps = 200;
    const value = (slider: HTMLInputElement): number => low + ((high - low) * Number(slider.value)) / steps;
    const slider = (name: string, start: number): HTMLInputElement =>
      h("input", {
        type: "range",
        min: "0",
        max: String(steps),
        value: String(start),
        aria: { label: `${measure.name}: ${name}` },
        on: { input: () => change() },
      });
    const from = slider("at least", 0);
    const to = slider("at most", steps);
    const change = (): void => {
      // The ends are the values themselves: what was rounded on the way would lose the outermost picture.
      const least = from.value === "0" ? low : value(from);
      const most = to.value === String(steps) ? high : value(to);
      words.textContent = `${decimal(least)} to ${decimal(most)}`;
      for (const one of [from, to]) one.setAttribute("aria-valuetext", decimal(one === from ? least : most));
      const others = this.choice.ranges.filter((range) => range.key !== key);
      this.set({ ranges: [...others, { key, low: least, high: most }] });
    };
    const row = h(
      "div",
      { className: "range" },
      h(
        "div",
        { className: "range-title" },
        h("span", {}, measure.name),
        h(
          "button",
          {
            type: "button",
            className: "link",
            aria: { label: `Remove the filter by ${measure.name}` },
            on: {
              click: () => {
                row.remove();
                this.set({ ranges: this.choice.ranges.filter((range) => range.key !== key) });
              },
            },
          },
          "remove",
        ),
      ),
      from,
      to,
      words,
    );
    this.ranges.append(row);
    change();
    from.focus();
  }
}
