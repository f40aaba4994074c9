// The frame of the page: its head, its tabs, and the view that is shown.

import { isSample, type Dataset } from "./dataset";
import { fill, h } from "./element";
import { toggleTheme } from "./theme";
import { count, shownOf } from "./words";

interface Callbacks {
  shown(view: string): void;
  recolour(): void;
}

export class Views {
  current = "";
  private readonly names: string[] = [];
  private readonly tabs: HTMLButtonElement[] = [];
  private readonly pages: HTMLElement[] = [];
  private readonly list = h("div", { className: "tabs", aria: { role: "tablist", label: "Views" } });
  private readonly main = h("main", {});

  constructor(
    data: Dataset,
    run: Record<string, any> | null,
    root: HTMLElement,
    private readonly callbacks: Callbacks,
  ) {
    const changeTheme = (): void => {
      toggleTheme();
      callbacks.recolour();
    };
    const theme = h("button", { type: "button", className: "quiet theme", on: { click: changeTheme } }, "Light / dark");
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => callbacks.recolour());
    const labels = `${count(data.labels.length)} ${data.labels.length === 1 ? "label" : "labels"}`;
    const summary = `${shownOf(data.n, data.about.of_pictures)} · ${labels} · ${count(data.k)} components`;
    fill(
      root,
      h(
        "header",
        { className: "top" },
        h("div", { className: "brand" }, h("strong", {}, "Verger"), h("span", { className: "soft" }, summary)),
        this.list,
        theme,
      ),
      ...((run?.["warnings"] as string[] | undefined) ?? []).map((warning) =>
        h("p", { className: "loud", aria: { role: "alert" } }, warning),
      ),
      isSample(data)
        ? h("p", { className: "note" }, "This page shows a sample: of each label its share, what is new or has changed first. The matrix (matrix.parquet, matrix.csv) holds all pictures.")
        : null,
      this.main,
    );
  }

  add(view: string, name: string, page: HTMLElement): void {
    const tab = h(
      "button",
      { type: "button", id: `tab-${view}`, aria: { role: "tab", controls: `view-${view}` }, on: { click: () => this.show(view) } },
      name,
    );
    tab.addEventListener("keydown", (event) => this.onKey(event));
    page.id = `view-${view}`;
    page.setAttribute("role", "tabpanel");
    page.setAttribute("aria-labelledby", tab.id);
    page.hidden = true;
    this.names.push(view);
    this.tabs.push(tab);
    this.pages.push(page);
    this.list.append(tab);
    this.main.append(page);
  }

  /** Show a view; one that is not there is not shown. */
  show(view: string): void {
    if (!this.names.includes(view)) return;
    this.current = view;
    this.names.forEach((name, at) => {
      const isCurrent = name === view;
      this.tabs[at]!.setAttribute("aria-selected", String(isCurrent));
      this.tabs[at]!.tabIndex = isCurrent ? 0 : -1;
      this.pages[at]!.hidden = !isCurrent;
    });
    this.callbacks.shown(view);
  }

  /** Put the focus on the tab of the view that is shown. */
  focus(): void {
    this.tabs[this.names.indexOf(this.current)]?.focus();
  }

  private onKey(event: KeyboardEvent): void {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    this.show(this.names[(this.names.indexOf(this.current) + step + this.names.length) % this.names.length]!);
    this.focus();
    event.preventDefault();
  }
}
