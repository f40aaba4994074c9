// Duplicates: groups of pictures that are the same or nearly so, side by side.

import type { Shown } from "./confusion";
import { KINDS, loadDuplicates, WHERES, type Group, type Member } from "./duplicates";
import { fill, h } from "./element";
import { showMore, sign } from "./parts";
import type { FoundDuplicates } from "./quality";
import { reviewWords } from "./review";
import { markButtons } from "./review_form";
import { isDark } from "./theme";
import { thumbnail } from "./thumbnails";
import { count, pictures } from "./words";

const GROUPS_AT_ONCE = 50;
/** Of one group; a picture may lie there a thousand times. */
const MEMBERS_AT_ONCE = 12;
const ALL = "all";

export class DuplicatesView {
  readonly element = h("section", { className: "page duplicates", aria: { label: "Duplicates" } });
  private groups: Group[] = [];
  private kind: string = ALL;
  private where: string = ALL;
  private most = GROUPS_AT_ONCE;
  private loading: Promise<void> | undefined;
  private refresh: (() => void)[] = [];

  constructor(
    private readonly found: FoundDuplicates,
    private readonly shown: Shown,
  ) {
    shown.reviews.onChange(() => this.refresh.forEach((one) => one()));
  }

  /** Show what is there; the groups are read when they are asked for. */
  render(): void {
    const { same_bytes: same, near } = this.found;
    if (!same.groups && !near.groups) return this.fill(h("p", { className: "panel" }, "There are none."));
    if (this.groups.length) return this.renderGroups();
    this.fill(h("p", { className: "panel" }, "Loading …"));
    this.loading ??= this.load();
  }

  private async load(): Promise<void> {
    try {
      this.groups = await loadDuplicates(this.shown.data);
      this.renderGroups();
    } catch (error) {
      this.loading = undefined;
      this.fill(h("p", { className: "panel" }, `The groups could not be read: ${String(error)}`));
    }
  }

  private fill(...children: Node[]): void {
    const { bound, looked_at: looked, same_bytes: same, near } = this.found;
    const nearWords =
      bound === null
        ? "Near-duplicates were not looked for: with random weights all pictures are alike."
        : `Near-duplicates have a similarity of ${bound} at least: the cosine of their features. Looked at: ${looked}.`;
    fill(
      this.element,
      h("h1", {}, "Duplicates"),
      h("p", { className: "sentence" }, `${groupWords(same.groups)} with the same bytes (${pictures(same.images)}), ${groupWords(near.groups)} of near-duplicates (${pictures(near.images)}).`),
      h("p", { className: "soft" }, nearWords),
      ...children,
    );
  }

  private renderGroups(): void {
    this.refresh = [];
    const fits = ({ kind, where }: Group): boolean => [ALL, kind].includes(this.kind) && [ALL, where].includes(this.where);
    const groups = this.groups.filter(fits);
    const more = showMore(() => ((this.most += GROUPS_AT_ONCE), this.renderGroups()));
    this.fill(
      h(
        "div",
        { className: "pills" },
        this.pills("kinds", KINDS, this.kind, ({ kind }) => kind, (kind) => (this.kind = kind)),
        this.pills("places", WHERES, this.where, ({ where }) => where, (where) => (this.where = where)),
      ),
      h("p", { className: "soft", aria: { role: "status" } }, `${groupWords(groups.length)}, the worst first.`),
      ...groups.slice(0, this.most).map((group) => this.group(group)),
      ...(groups.length > this.most ? [more] : []),
    );
  }

  private pills(
    name: string,
    values: readonly string[],
    now: string,
    of: (group: Group) => string,
    set: (value: string) => void,
  ): HTMLElement {
    const pill = (value: string): HTMLElement => {
      const number = value === ALL ? this.groups.length : this.groups.filter((group) => of(group) === value).length;
      const choose = (): void => {
        set(value);
        this.most = GROUPS_AT_ONCE;
        this.renderGroups();
        this.element.querySelector<HTMLElement>(`[aria-label="${name}"] [aria-pressed="true"]`)?.focus();
      };
      return h(
        "button",
        { type: "button", className: "pill", aria: { pressed: String(value === now) }, on: { click: choose } },
        value === ALL ? `all ${name} ` : `${value} `,
        h("span", { className: "soft" }, count(number)),
      );
    };
    return h("div", { className: "quick", aria: { role: "group", label: name } }, ...[ALL, ...values].map(pill));
  }

  private group(group: Group): HTMLElement {
    const members = h("div", { className: "twins" });
    const show = (most: number): void => {
      const rest = group.members.length - most;
      const more = h("button", { type: "button", className: "quiet", on: { click: () => show(group.members.length) } }, `Show ${count(rest)} more`);
      fill(members, ...group.members.slice(0, most).map((member) => this.member(member)), rest > 0 && more);
    };
    show(MEMBERS_AT_ONCE);
    return h(
      "article",
      { className: `panel group ${group.where.replaceAll(" ", "-")}` },
      h("h2", {}, `Group ${count(group.number)} `, h("span", { className: "soft" }, `${group.kind}, ${group.where}, ${pictures(group.members.length)}`)),
      members,
    );
  }

  private member(member: Member): HTMLElement {
    const { data, reviews, choose } = this.shown;
    const { path, label, part, similarity, picture } = member;
    const name = path.slice(data.about.images_uri.length);
    const buttons = h("div", {});
    const show = (): void => {
      const review = reviews.get(path);
      const focused = [...buttons.querySelectorAll("button")].indexOf(document.activeElement as HTMLButtonElement);
      fill(
        buttons,
        markButtons(name, review?.mark, (mark) => reviews.set([path], mark && { mark, newLabel: "", note: review?.note ?? "" })),
        review?.newLabel ? h("p", { className: "soft" }, reviewWords(review)) : null,
      );
      buttons.querySelectorAll("button")[focused]?.focus({ preventScroll: true });
    };
    this.refresh.push(show);
    show();
    const image =
      picture < 0
        ? h("span", { className: "thumb missing" }, "not on the map")
        : h("button", { type: "button", className: "card", title: "Show it on the map", aria: { label: `Show ${name} on the map` }, on: { click: () => choose(picture) } }, thumbnail(data, picture, 96));
    return h(
      "div",
      { className: "twin" },
      image,
      h("p", { className: "chip" }, sign(label, isDark()), h("span", {}, label || "(no label)"), part ? h("b", { className: "part" }, part) : null),
      h("p", { className: "address" }, name),
      h("p", { className: "soft" }, `similarity ${similarity.toFixed(3)}`),
      buttons,
    );
  }
}

function groupWords(number: number): string {
  return `${count(number)} ${number === 1 ? "group" : "groups"}`;
}
