// What was chosen, and the views that show it.

import { searchAll } from "./all_pictures";
import { CompareView, type Comparison } from "./compare_view";
import { isSample, type Dataset } from "./dataset";
import { DuplicatesView } from "./duplicates_view";
import { fill, h } from "./element";
import { Filters } from "./filters";
import { findAll, type Findings } from "./findings";
import { nearestTo, type Neighbour } from "./geometry";
import { MapPage } from "./map_page";
import { NEIGHBOURS } from "./picture_panel";
import type { Quality } from "./quality";
import { QualityView } from "./quality_view";
import { Reviews } from "./review";
import { indexOf } from "./review_file";
import { runView } from "./run_view";
import { areasFromWord, areasToWord, maskOf, type Area } from "./selection";
import { SidePanel } from "./side_panel";
import { EVERYTHING, indicesOf, measuresOf, visibleOf, type Choice } from "./store";
import { isDark } from "./theme";
import { Views } from "./views";
import { count, pictures } from "./words";

/** With more, the map begins as points; pictures on it can be switched on. */
const MOST_FOR_PICTURES = 3000;

export class Explorer {
  private readonly findings: Findings;
  private readonly measures;
  private readonly reviews: Reviews;
  private readonly page: MapPage;
  private readonly filters: Filters;
  private readonly compare: CompareView;
  private readonly side: SidePanel;
  private readonly views: Views;
  /** Views that are drawn when they are shown. */
  private readonly later = new Map<string, { element: HTMLElement; render(): void }>();
  private choice: Choice = EVERYTHING;
  private visible: Uint8Array;
  /** What the filters and the selection leave. */
  private found: number[] = [];
  private areas: readonly Area[] = [];
  private selection: Uint8Array | null = null;
  private selected = -1;
  private near: Neighbour[] = [];

  constructor(
    private readonly data: Dataset,
    run: Record<string, any> | null,
    quality: Quality | null,
    root: HTMLElement,
  ) {
    this.findings = findAll(data);
    this.measures = measuresOf(data);
    this.reviews = new Reviews(data.about.images_uri);
    this.visible = new Uint8Array(data.n).fill(1);
    const go = (picture: number): void => this.goTo(picture);
    this.filters = new Filters(data, this.findings, this.measures, {
      dark: isDark,
      change: (choice) => this.filter(choice),
      highlight: (label) => this.page.map.update({ highlighted: label }),
      everywhere: isSample(data) ? searchAll(data, go) : null,
    });
    this.side = new SidePanel(data, this.findings, this.reviews, {
      choose: go,
      compare: (kind) => this.startComparison(kind),
      clearSelection: () => this.select([]),
    });
    this.page = this.mapPage();
    this.compare = new CompareView(data, { dark: isDark, reviews: this.reviews, choose: go, pickOnMap: () => this.views.show("map") });
    const asked = location.hash;
    this.views = new Views(data, run, root, {
      shown: (view) => {
        if (view === "compare") this.compare.show({ picture: this.selected });
        this.drawLater(view);
        this.writeAddress();
      },
      recolour: () => this.recolour(),
    });
    this.views.add("map", "Map", this.page.element);
    this.views.add("compare", "Compare", this.compare.element);
    if (quality) this.addQuality(quality);
    this.views.add("run", "The run", runView(data.about, run));
    this.views.show("map");
    this.showMarks();
    this.filter(EVERYTHING);
    this.follow(asked);
    this.reviews.onChange(() => this.showMarks());
    window.addEventListener("hashchange", () => this.follow(location.hash));
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.escape(event));
  }

  /** What earlier versions' results do not have. */
  private addQuality(quality: Quality): void {
    const shown = { data: this.data, reviews: this.reviews, choose: (picture: number) => this.goTo(picture) };
    const [view, duplicates] = [new QualityView(quality, shown), new DuplicatesView(quality.duplicates, shown)];
    this.later.set("quality", view).set("duplicates", duplicates);
    this.views.add("quality", "Quality", view.element);
    this.views.add("duplicates", "Duplicates", duplicates.element);
  }

  private drawLater(name: string): void {
    const view = this.later.get(name);
    try {
      view?.render();
    } catch (error) {
      // Figures of another version may lack what is drawn here; the map does not need them.
      if (view) fill(view.element, h("p", { className: "panel" }, `These figures could not be shown: ${String(error)}`));
    }
  }

  private mapPage(): MapPage {
    const { data, visible } = this;
    const state = {
      x: 0,
      y: Math.min(1, data.k - 1),
      visible,
      selected: -1,
      neighbours: [],
      highlighted: -1,
      areas: [],
      selection: null,
      marked: new Uint8Array(data.n),
      pictures: data.n <= MOST_FOR_PICTURES,
      dark: isDark(),
    };
    return new MapPage(data, state, this.filters.element, this.side.element, {
      choose: (picture) => this.choose(picture),
      select: (area, add) => this.select(add ? [...this.areas, area] : [area]),
    });
  }

  private filter(choice: Choice): void {
    this.choice = choice;
    this.look();
  }

  /** Marks have changed: the map, the filter by them and what it leaves. */
  private showMarks(): void {
    const marked = this.reviews.flags(this.data.paths);
    this.page.map.update({ marked });
    this.filters.showMarks(marked);
    if (this.choice.quick === "marked") this.look();
  }

  private look(): void {
    const { data } = this;
    this.visible = visibleOf(data, this.findings, this.measures, this.reviews, this.choice);
    this.page.map.update({ visible: this.visible });
    this.narrow();
  }

  /** Find what lies in the selection, of what the filters show. */
  private narrow(): void {
    const { data, visible, selection } = this;
    const shown = indicesOf(visible);
    this.found = selection ? shown.filter((picture) => selection[picture]) : shown;
    const words = shown.length === data.n ? `${pictures(data.n)} shown` : `${count(shown.length)} of ${pictures(data.n)} shown`;
    this.page.say(selection ? `${words}, ${count(this.found.length)} selected` : words);
    if (this.selected < 0) this.renderSide();
  }

  private select(areas: readonly Area[]): void {
    const start = performance.now();
    this.areas = areas;
    this.selection = maskOf(this.data.components, areas);
    this.page.map.update({ areas, selection: this.selection });
    if (this.selected >= 0) this.choose(-1);
    this.narrow();
    this.writeAddress();
    // Asked for after the map's own frame: when it runs, all is drawn.
    requestAnimationFrame(() => performance.measure("verger selection", { start, end: performance.now() }));
  }

  private choose(picture: number): void {
    this.selected = picture;
    this.near = picture < 0 ? [] : nearestTo(this.data.components, picture, NEIGHBOURS);
    this.page.map.update({ selected: picture, neighbours: this.near.map((one) => one.picture) });
    this.renderSide();
    this.writeAddress();
  }

  /** Choose a picture and show it on the map. */
  private goTo(picture: number): void {
    this.views.show("map");
    this.choose(picture);
    if (picture >= 0) this.page.map.reveal(picture);
  }

  private escape(event: KeyboardEvent): void {
    const isField = event.target instanceof Element && event.target.matches("input, select, textarea");
    if (this.views.current !== "map" || isField) return;
    if (this.page.map.cancelDrawing()) return;
    if (this.selected >= 0) this.choose(-1);
    else if (this.areas.length) this.select([]);
  }

  private renderSide(): void {
    const { selected: picture, near, found, selection, choice } = this;
    this.side.show({ picture, near, found, isSelection: selection !== null, isFiltered: choice.quick !== "all" });
  }

  private startComparison(kind: Comparison): void {
    this.compare.show({ kind, picture: this.selected });
    this.views.show("compare");
    this.views.focus();
  }

  private recolour(): void {
    this.page.map.update({ dark: isDark() });
    this.filters.render();
    this.side.render();
    if (this.views.current === "compare") this.compare.render();
    this.drawLater(this.views.current);
  }

  /** The address names the view, the picture and the selection, so that all can be sent to somebody. */
  private writeAddress(): void {
    const words = new URLSearchParams({ view: this.views.current });
    if (this.selected >= 0) words.set("picture", this.data.paths[this.selected]!.slice(this.data.about.images_uri.length));
    if (this.areas.length) words.set("area", areasToWord(this.areas));
    history.replaceState(null, "", `#${words}`);
  }

  private follow(address: string): void {
    const words = new URLSearchParams(address.slice(1));
    const areas = areasFromWord(words.get("area"), this.data.k);
    if (areasToWord(areas) !== areasToWord(this.areas)) {
      if (areas[0]) this.page.showAxes(areas[0].x, areas[0].y);
      this.select(areas);
    }
    const path = words.get("picture");
    const picture = path === null ? -1 : (indexOf(this.data).get(this.data.about.images_uri + path) ?? -1);
    if (picture >= 0 && picture !== this.selected) this.choose(picture);
    const view = words.get("view");
    if (view !== null && view !== this.views.current) this.views.show(view);
  }
}
