// One picture, explained for somebody who is no data scientist.

import { fileName, labelName, type Dataset } from "./dataset";
import { h } from "./element";
import { looksMislabelled, surroundingsOf, type Findings } from "./findings";
import { shareBelow, sorted, type Neighbour } from "./geometry";
import { card, showMore, sign, standingBar } from "./parts";
import type { Reviews } from "./review";
import { reviewForm } from "./review_form";
import { thumbnail } from "./thumbnails";
import { count, decimal, fileSize, standing, verdictOf, withLabel, type Verdict } from "./words";

export const NEIGHBOURS = 10;
const SHOWN_COMPONENTS = 3;

interface Options {
  dark: boolean;
  reviews: Reviews;
  choose(picture: number): void;
  close(): void;
  compare(kind: "all" | "similar"): void;
}

export interface Explained {
  verdict: Verdict;
  inGroup: number;
  inAll: number;
}

/** Where a picture stands, and what to make of it. */
export function explain(data: Dataset, findings: Findings, picture: number, near: readonly Neighbour[]): Explained {
  const label = data.label[picture]!;
  const members = data.members[label]!;
  const inGroup = shareBelow(sorted(data.fromGroup, members), data.fromGroup[picture]!);
  const inAll = shareBelow(sorted(data.fromAll), data.fromAll[picture]!);
  const around = surroundingsOf(
    data,
    picture,
    near.map((one) => one.picture),
  );
  const words = standing(inGroup, "further from its group", "nearer to the middle of its group", `the pictures ${withLabel(data, label)}`);
  const mislabelled = looksMislabelled(data, picture, around);
  return { verdict: verdictOf(data, picture, around, mislabelled, findings.unusual[picture] === 1, words), inGroup, inAll };
}

export function picturePanel(
  data: Dataset,
  findings: Findings,
  picture: number,
  near: readonly Neighbour[],
  options: Options,
): HTMLElement {
  const label = data.label[picture]!;
  const { verdict, inGroup, inAll } = explain(data, findings, picture, near);
  const mine = `the pictures ${withLabel(data, label)}`;
  const same = near.filter((one) => data.label[one.picture] === label).length;
  const back = h("button", { type: "button", className: "quiet", on: { click: options.close } }, "← All pictures");
  const facts = [
    data.width[picture] ? `${count(data.width[picture]!)} × ${count(data.height[picture]!)} pixels` : null,
    fileSize(data.bytes[picture]!),
    ["", "new since the run before", "changed since the run before"][data.change[picture]!] || null,
  ].filter(Boolean);
  return h(
    "article",
    { className: "picture", aria: { label: `Picture ${fileName(data, picture)}` } },
    back,
    h(
      "div",
      { className: "portrait" },
      thumbnail(data, picture, 148),
      h(
        "div",
        { className: "portrait-text" },
        h("h2", { className: "chip" }, sign(data.labels[label]!, options.dark), h("span", {}, labelName(data, label))),
        h("p", { className: "file" }, fileName(data, picture)),
        h("p", { className: "soft" }, facts.join(" · ")),
      ),
    ),
    h(
      "div",
      { className: `verdict ${verdict.kind}`, aria: { role: "status" } },
      h("strong", {}, verdict.title),
      h("p", {}, verdict.because),
    ),
    reviewForm(data, options.reviews, [data.paths[picture]!]),
    h("h3", {}, "Where it stands"),
    data.members[label]!.length > 1
      ? standingBar(
          "Among its own label",
          inGroup,
          `It is ${standing(inGroup, "further from the middle of its group", "nearer to the middle of its group", mine)}.`,
        )
      : h("p", { className: "soft" }, "It is the only picture with its label."),
    standingBar(
      "Among all pictures",
      inAll,
      `It is ${standing(inAll, "further from the middle of all", "nearer to the middle of all", "the pictures")}.`,
    ),
    h("h3", {}, "Most similar pictures"),
    h(
      "p",
      { className: "soft" },
      `The ${near.length} nearest in all ${data.k} components; ${same} of them carry its label.`,
    ),
    h(
      "div",
      { className: "cards" },
      ...near.map((one) =>
        card(data, one.picture, {
          size: 64,
          dark: options.dark,
          reviews: options.reviews,
          odd: data.label[one.picture] !== label,
          note: `at ${decimal(one.distance)}`,
          choose: options.choose,
        }),
      ),
    ),
    h(
      "div",
      { className: "actions" },
      h("button", { type: "button", on: { click: () => options.compare("all") } }, "Compare with all"),
      h("button", { type: "button", on: { click: () => options.compare("similar") } }, "Compare with the most similar group"),
    ),
    componentBars(data, picture),
    h("details", {}, h("summary", {}, "Address"), h("p", { className: "address" }, data.paths[picture]!)),
  );
}

/** Where it stands on each component: the first ones, and all of them on demand. */
function componentBars(data: Dataset, picture: number): HTMLElement {
  const label = data.label[picture]!;
  const members = data.members[label]!;
  const bar = (at: number): HTMLElement => {
    const values = data.components[at]!;
    const all = shareBelow(sorted(values), values[picture]!);
    const own = shareBelow(sorted(values, members), values[picture]!);
    const words = standing(all, "Higher", "Lower", "all pictures");
    const among = members.length > 1 ? `, ${standing(own, "higher", "lower", "its own label")}` : "";
    return standingBar(`Component ${at + 1}`, all, `${words}${among}.`);
  };
  const rest = h("div", {});
  const details = h("details", {}, h("summary", {}, "On each component"), rest);
  let most = SHOWN_COMPONENTS;
  const show = (): void => {
    const more = showMore(() => {
      most += 20;
      show();
    });
    rest.replaceChildren(
      h("p", { className: "soft" }, "Components are directions in which the pictures differ. They have no names: look at the map to see what lies at their ends."),
      ...Array.from({ length: Math.min(most, data.k) }, (_, at) => bar(at)),
      ...(most < data.k ? [more] : []),
    );
  };
  details.addEventListener("toggle", () => details.open && !rest.childElementCount && show());
  return details;
}
