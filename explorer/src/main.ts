// The page: loads the data, keeps what was chosen, and puts the views together.

import { CompareView, type Comparison } from "./compare_view";
import { searchAll } from "./all_pictures";
import { fileName, isSample, labelName, loadDataset, type Dataset } from "./dataset";
import { fill, h } from "./element";
import { readRun } from "./files";
import { Filters } from "./filters";
import { findAll, type Findings } from "./findings";
import { nearestTo, type Neighbour } from "./geometry";
import { PictureMap } from "./map";
import { card } from "./parts";
import { NEIGHBOURS, picturePanel } from "./picture_panel";
import { runView } from "./run_view";
import { EVERYTHING, indicesOf, measuresOf, visibleOf, type Choice } from "./store";
import { thumbnail } from "./thumbnails";
import { count, pictures, shownOf } from "./words";

type View = "map" | "compare" | "run";
const VIEWS: [View, string][] = [
  ["map", "Map"],
  ["compare", "Compare"],
  ["run", "The run"],
];
const CARDS_AT_ONCE = 60;
/** With more, the map begins as points; pictures on it can be switched on. */
const MOST_FOR_PICTURES = 3000;

class Explorer {
  private readonly findings: Findings;
  private readonly measures;
  private readonly map: PictureMap;
  private readonly filters: Filters;
  private readonly compare: CompareView;
  private readonly side = h("aside", { className: "side-panel", aria: { label: "Pictures" } });
  private readonly found = h("p", { className: "found", aria: { role: "status" } });
  private readonly tip = h("div", { className: "tip", hidden: true });
  private readonly tabs: HTMLButtonElement[] = [];
  private readonly pages = new Map<View, HTMLElement>();
  private view: View = "map";
  private choice: Choice = EVERYTHING;
  private visible: Uint8Array;
  private selected = -1;
  private near: Neighbour[] = [];
  private shown = CARDS_AT_ONCE;
  private axes: [HTMLSelectElement, HTMLSelectElement];
  private pictures: boolean;

  constructor(
    private readonly data: Dataset,
    private readonly run: Record<string, any> | null,
    private readonly root: HTMLElement,
  ) {
    this.findings = findAll(data);
    this.measures = measuresOf(data);
    this.visible = new Uint8Array(data.n).fill(1);
    this.pictures = data.n <= MOST_FOR_PICTURES;
    const state = { x: 0, y: Math.min(1, data.k - 1), visible: this.visible, selected: -1, neighbours: [], highlighted: -1, areas: [], selection: null, marked: new Uint8Array(data.n) };
    this.map = new PictureMap(
      data,
      { ...state, pictures: this.pictures, dark: isDark() },
      { hover: (picture, x, y) => this.hover(picture, x, y), choose: (picture) => this.choose(picture), select: () => undefined },
    );
    this.filters = new Filters(data, this.findings, this.measures, {
      dark: isDark,
      change: (choice) => this.filter(choice),
      highlight: (label) => this.map.update({ highlighted: label }),
      everywhere: isSample(data)
        ? searchAll(data, (picture) => {
            this.choose(picture);
            this.map.reveal(picture);
          })
        : null,
    });
    this.compare = new CompareView(data, {
      dark: isDark,
      choose: (picture) => {
        this.show("map");
        this.choose(picture);
        this.map.reveal(picture);
      },
      pickOnMap: () => this.show("map"),
    });
    this.axes = [this.axis("Across", state.x), this.axis("Up", state.y)];
    const asked = location.hash;
    this.build();
    this.filter(EVERYTHING);
    this.follow(asked);
    window.addEventListener("hashchange", () => this.follow(location.hash));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
  }

  private build(): void {
    const { data, run } = this;
    const names = h("div", { className: "tabs", aria: { role: "tablist", label: "Views" } });
    for (const [view, name] of VIEWS) {
      const tab = h(
        "button",
        { type: "button", id: `tab-${view}`, aria: { role: "tab", controls: `view-${view}` }, on: { click: () => this.show(view) } },
        name,
      );
      tab.addEventListener("keydown", (event) => this.onTabKey(event));
      this.tabs.push(tab);
      names.append(tab);
    }
    const theme = h("button", { type: "button", className: "quiet theme", on: { click: () => this.toggleTheme() } }, "Light / dark");
    this.pages.set("map", this.mapPage());
    this.pages.set("compare", this.compare.element);
    this.pages.set("run", runView(data.about, run));
    for (const [view, page] of this.pages) {
      page.id = `view-${view}`;
      page.setAttribute("role", "tabpanel");
      page.setAttribute("aria-labelledby", `tab-${view}`);
    }
    const summary = `${shownOf(data.n, data.about.of_pictures)} · ${count(data.labels.length)} ${data.labels.length === 1 ? "label" : "labels"} · ${count(data.k)} components`;
    fill(
      this.root,
      h(
        "header",
        { className: "top" },
        h("div", { className: "brand" }, h("strong", {}, "Verger"), h("span", { className: "soft" }, summary)),
        names,
        theme,
      ),
      ...((run?.["warnings"] as string[] | undefined) ?? []).map((warning) =>
        h("p", { className: "loud", aria: { role: "alert" } }, warning),
      ),
      isSample(data)
        ? h("p", { className: "note" }, "This page shows a sample: of each label its share, what is new or has changed first. The matrix (matrix.parquet, matrix.csv) holds all pictures.")
        : null,
      h("main", {}, ...this.pages.values()),
    );
    this.show("map");
  }

  private mapPage(): HTMLElement {
    const button = (name: string, sign: string, act: () => void): HTMLElement =>
      h("button", { type: "button", className: "tool", title: name, aria: { label: name }, on: { click: act } }, sign);
    const toggle = h("input", {
      type: "checkbox",
      checked: this.pictures,
      on: { change: () => this.map.update({ pictures: toggle.checked }) },
    });
    const filters = h("details", { className: "filter-box", open: innerWidth > 900 }, h("summary", {}, "Filters"), this.filters.element);
    return h(
      "div",
      { className: "map-page" },
      filters,
      h(
        "div",
        { className: "stage" },
        h(
          "div",
          { className: "axes" },
          h("label", {}, h("span", {}, "Across"), this.axes[0]),
          h("label", {}, h("span", {}, "Up"), this.axes[1]),
          h("label", { className: "check" }, toggle, h("span", {}, "Pictures on the map")),
          this.found,
        ),
        h(
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
        ),
      ),
      this.side,
    );
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
    list.addEventListener("change", () => this.map.update({ x: Number(this.axes[0].value), y: Number(this.axes[1].value) }));
    return list;
  }

  private filter(choice: Choice): void {
    this.choice = choice;
    this.visible = visibleOf(this.data, this.findings, this.measures, choice);
    const shown = indicesOf(this.visible).length;
    this.found.textContent = shown === this.data.n ? `${pictures(shown)} shown` : `${count(shown)} of ${pictures(this.data.n)} shown`;
    this.shown = CARDS_AT_ONCE;
    this.map.update({ visible: this.visible });
    if (this.selected < 0) this.renderSide();
  }

  private choose(picture: number): void {
    this.selected = picture;
    this.near = picture < 0 ? [] : nearestTo(this.data.components, picture, NEIGHBOURS);
    this.map.update({ selected: picture, neighbours: this.near.map((one) => one.picture) });
    this.renderSide();
    this.side.scrollTop = 0;
    this.writeAddress();
  }

  private renderSide(): void {
    const inside = this.side.contains(document.activeElement);
    if (this.selected >= 0) {
      fill(
        this.side,
        picturePanel(this.data, this.findings, this.selected, this.near, {
          dark: isDark(),
          choose: (picture) => {
            this.choose(picture);
            this.map.reveal(picture);
          },
          close: () => this.choose(-1),
          compare: (kind) => this.startComparison(kind),
        }),
      );
    } else {
      fill(this.side, ...this.gallery());
    }
    // Whoever came by keyboard goes on from the top of what is new.
    if (inside) this.side.querySelector<HTMLElement>("button")?.focus({ preventScroll: true });
  }

  private gallery(): Node[] {
    const found = indicesOf(this.visible);
    const title = this.choice.quick === "all" ? "Pictures" : "Found";
    const more = h(
      "button",
      {
        type: "button",
        className: "quiet",
        on: {
          click: () => {
            this.shown += CARDS_AT_ONCE;
            this.renderSide();
          },
        },
      },
      "Show more",
    );
    return [
      h("h2", {}, `${title} (${count(found.length)})`),
      h("p", { className: "soft" }, "Choose one here or on the map to see what is known about it."),
      h(
        "div",
        { className: "cards" },
        ...found.slice(0, this.shown).map((picture) =>
          card(this.data, picture, {
            size: 64,
            dark: isDark(),
            choose: (one) => {
              this.choose(one);
              this.map.reveal(one);
            },
          }),
        ),
      ),
      ...(found.length > this.shown ? [more] : []),
      ...(found.length ? [] : [h("p", {}, "No picture fits the filters.")]),
    ];
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

  private startComparison(kind: Comparison): void {
    this.compare.show({ kind, picture: this.selected });
    this.show("compare");
    this.tabs[1]?.focus();
  }

  private show(view: View): void {
    this.view = view;
    VIEWS.forEach(([name], at) => {
      const current = name === view;
      this.tabs[at]?.setAttribute("aria-selected", String(current));
      if (this.tabs[at]) this.tabs[at].tabIndex = current ? 0 : -1;
      const page = this.pages.get(name);
      if (page) page.hidden = !current;
    });
    if (view === "compare") this.compare.show({ picture: this.selected });
    this.writeAddress();
  }

  private onTabKey(event: KeyboardEvent): void {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    const at = (VIEWS.findIndex(([name]) => name === this.view) + step + VIEWS.length) % VIEWS.length;
    this.show(VIEWS[at]![0]);
    this.tabs[at]?.focus();
    event.preventDefault();
  }

  private toggleTheme(): void {
    document.documentElement.dataset["theme"] = isDark() ? "light" : "dark";
    this.recolour();
  }

  private recolour(): void {
    this.map.update({ dark: isDark() });
    this.filters.render();
    this.renderSide();
    if (this.view === "compare") this.compare.render();
  }

  /** The address names the view and the picture, so that both can be sent to somebody. */
  private writeAddress(): void {
    const words = new URLSearchParams({ view: this.view });
    if (this.selected >= 0) words.set("picture", this.data.paths[this.selected]!.slice(this.data.about.images_uri.length));
    history.replaceState(null, "", `#${words}`);
  }

  private follow(address: string): void {
    const words = new URLSearchParams(address.slice(1));
    const path = words.get("picture");
    const picture = path === null ? -1 : this.data.paths.indexOf(this.data.about.images_uri + path);
    const view = VIEWS.find(([name]) => name === words.get("view"))?.[0];
    if (picture >= 0 && picture !== this.selected) this.choose(picture);
    if (view && view !== this.view) this.show(view);
  }
}

function isDark(): boolean {
  const chosen = document.documentElement.dataset["theme"];
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

async function start(): Promise<void> {
  const root = document.getElementById("app")!;
  try {
    const [data, run] = await Promise.all([loadDataset(), readRun().catch(() => null)]);
    new Explorer(data, run as Record<string, any> | null, root);
    document.documentElement.dataset["ready"] = "yes";
  } catch (error) {
    fill(
      root,
      h("p", { className: "loud", aria: { role: "alert" } }, "The pictures could not be loaded."),
      h("p", { className: "loading" }, `${String(error)} The results themselves are in matrix.csv and run.json beside this folder.`),
    );
  }
}

void start();
