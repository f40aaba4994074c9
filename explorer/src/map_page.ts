// The map's page: filters, the map with its axes and tools, and the panel beside it.

import type { Tool } from "./area_tool";
import { fileName, labelName, type Dataset } from "./dataset";
import { fill, h } from "./element";
import { PictureMap } from "./map";
import type { MapState } from "./map_scene";
import type { Area } from "./selection";
import { thumbnail } from "./thumbnails";

const TOOLS: [Tool, string, string][] = [
  ["move", "Move", "Drag moves the map"],
  ["lasso", "Lasso", "Draw around pictures to select them; with Shift they are added"],
  ["rectangle", "Rectangle", "Draw a rectangle to select pictures; with Shift they are added"],
];

interface Callbacks {
  choose(picture: number): void;
  select(area: Area, add: boolean): void;
}

export class MapPage {
  readonly element: HTMLElement;
  readonly map: PictureMap;
  private readonly found = h("p", { className: "found", aria: { role: "status" } });
  private readonly tip = h("div", { className: "tip", hidden: true });
  private readonly across: HTMLSelectElement;
  private readonly up: HTMLSelectElement;
  private readonly tools: HTMLElement;

  constructor(
    private readonly data: Dataset,
    state: MapState,
    filters: HTMLElement,
    side: HTMLElement,
    private readonly callbacks: Callbacks,
  ) {
    this.map = new PictureMap(data, state, { ...callbacks, hover: (picture, x, y) => this.hover(picture, x, y) });
    this.across = this.axis("Across", state.x);
    this.up = this.axis("Up", state.y);
    this.tools = h("div", { className: "segments draw", aria: { role: "group", label: "What dragging on the map does" } });
    this.use("move");
    this.element = h(
      "div",
      { className: "map-page" },
      h("details", { className: "filter-box", open: innerWidth > 900 }, h("summary", {}, "Filters"), filters),
      h("div", { className: "stage" }, this.head(state), this.frame()),
      side,
    );
  }

  say(words: string): void {
    this.found.textContent = words;
  }

  showAxes(x: number, y: number): void {
    this.across.value = String(x);
    this.up.value = String(y);
    this.map.update({ x, y });
  }

  private head(state: MapState): HTMLElement {
    const toggle = h("input", {
      type: "checkbox",
      checked: state.pictures,
      on: { change: () => this.map.update({ pictures: toggle.checked }) },
    });
    return h(
      "div",
      { className: "axes" },
      h("label", {}, h("span", {}, "Across"), this.across),
      h("label", {}, h("span", {}, "Up"), this.up),
      h("label", { className: "check" }, toggle, h("span", {}, "Pictures", h("span", { className: "where-wide" }, " on the map"))),
      h("div", { className: "below-axes" }, this.tools, this.found),
    );
  }

  private frame(): HTMLElement {
    const button = (name: string, sign: string, act: () => void): HTMLElement =>
      h("button", { type: "button", className: "tool", title: name, aria: { label: name }, on: { click: act } }, sign);
    return h(
      "div",
      { className: "map-frame" },
      this.map.element,
      this.tip,
      h(
        "div",
        { className: "tools" },
        button("Nearer", "+", () => this.map.zoomBy(1.6)),
        button("Further", "−", () => this.map.zoomBy(1 / 1.6)),
        button("Show all", "⤢", () => this.map.showAll()),
      ),
    );
  }

  private use(tool: Tool): void {
    this.map.use(tool);
    const focused = this.tools.contains(document.activeElement);
    const buttons = TOOLS.map(([one, name, title]) =>
      h("button", { type: "button", title, aria: { pressed: String(one === tool) }, on: { click: () => this.use(one) } }, name),
    );
    // Who cannot draw zooms to the pictures instead.
    const view = h(
      "button",
      {
        type: "button",
        title: "Select all pictures that the map shows now; with Shift they are added",
        on: { click: (event) => this.callbacks.select(this.map.view(), event.shiftKey) },
      },
      "All in view",
    );
    fill(this.tools, ...buttons, view);
    if (focused) buttons[TOOLS.findIndex(([one]) => one === tool)]?.focus();
  }

  private axis(name: string, start: number): HTMLSelectElement {
    const shares = this.data.about.scree;
    const list = h(
      "select",
      { aria: { label: `${name}: component` } },
      ...this.data.components.map((_, at) => {
        const share = shares[at] ? ` (${(shares[at].share * 100).toFixed(0)} %)` : "";
        return h("option", { value: String(at), selected: at === start }, `Component ${at + 1}${share}`);
      }),
    );
    list.addEventListener("change", () => this.map.update({ x: Number(this.across.value), y: Number(this.up.value) }));
    return list;
  }

  private hover(picture: number, x: number, y: number): void {
    if (picture < 0) {
      this.tip.hidden = true;
      return;
    }
    if (this.tip.dataset["picture"] !== String(picture) || this.tip.hidden) {
      this.tip.dataset["picture"] = String(picture);
      fill(
        this.tip,
        thumbnail(this.data, picture, 96),
        h("strong", {}, labelName(this.data, this.data.label[picture]!)),
        h("span", {}, fileName(this.data, picture)),
      );
      this.tip.hidden = false;
    }
    const frame = this.map.element;
    this.tip.style.left = `${Math.max(4, Math.min(x + 18, frame.clientWidth - this.tip.offsetWidth - 8))}px`;
    this.tip.style.top = `${Math.max(4, Math.min(y + 18, frame.clientHeight - this.tip.offsetHeight - 8))}px`;
  }
}
