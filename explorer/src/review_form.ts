// Marking pictures, one or all that are selected, and what is marked in all.

import type { Dataset } from "./dataset";
import { fill, h } from "./element";
import { labelProblem, MARKS, tidyLabel, type Mark, type Review, type Reviews } from "./review";
import { labelOfPath, reviewFile, save, splitMarked } from "./review_file";
import { count, pictures } from "./words";

const NAMES: Record<Mark, string> = { "wrong label": "Wrong label", remove: "Remove", "look again": "Look again" };
const LONGEST_NOTE = 500;
let forms = 0;

/** A button for each mark and one for none; the pressed one is the mark that a picture has. */
export function markButtons(of: string, now: Mark | undefined, mark: (mark: Mark | null) => void): HTMLElement {
  const button = (name: string, one: Mark | null): HTMLElement =>
    h(
      "button",
      { type: "button", aria: one ? { pressed: String(one === now) } : {}, on: { click: () => mark(one) } },
      name,
    );
  return h(
    "div",
    { className: "marks", aria: { role: "group", label: `Mark ${of}` } },
    ...MARKS.map((one) => button(NAMES[one], one)),
    button("No mark", null),
  );
}

/** The form for some pictures; with one of them it shows what is said of it. */
export function reviewForm(data: Dataset, reviews: Reviews, paths: readonly string[]): HTMLElement {
  const root = data.about.images_uri;
  const one = paths.length === 1 ? paths[0]! : null;
  const now = (): Review | undefined => (one === null ? undefined : reviews.get(one));
  const list = h("datalist", { id: `labels-${++forms}` }, ...data.labels.filter(Boolean).map((label) => h("option", { value: label })));
  const label = h("input", { type: "text", id: `label-${forms}`, autocomplete: "off", value: now()?.newLabel ?? "" });
  label.setAttribute("list", list.id);
  const note = h("input", { type: "text", id: `note-${forms}`, autocomplete: "off", maxLength: LONGEST_NOTE, value: now()?.note ?? "" });
  const buttons = h("div", {});
  const said = h("p", { className: "soft said", aria: { role: "status" } });
  const of = one === null ? `the ${pictures(paths.length)}` : "this picture";
  const mark = (to: Mark | null, newLabel = "", which: readonly string[] = paths): void => {
    reviews.set(which, to && { mark: to, newLabel, note: note.value.trim() });
    if (!newLabel) label.value = "";
    show();
    const done = to ? `marked “${to}”${newLabel ? `: should be “${newLabel}”` : ""}` : "without a mark";
    said.textContent = `${which.length === 1 ? "The picture is" : `${pictures(which.length)} are`} ${done}.`;
  };
  const setLabel = (): void => {
    const wanted = tidyLabel(label.value, data.labels);
    const which = paths.filter((path) => labelOfPath(path, root) !== wanted);
    const problem = labelProblem(wanted) ?? (which.length ? null : "That is the label that it has.");
    label.setCustomValidity(problem ?? "");
    label.setAttribute("aria-invalid", String(problem !== null));
    if (problem) said.textContent = problem;
    else mark("wrong label", wanted, which);
  };
  const show = (): void => {
    const of_all = markButtons(of, now()?.mark, (to) => mark(to));
    const focused = [...buttons.querySelectorAll("button")].indexOf(document.activeElement as HTMLButtonElement);
    fill(buttons, of_all);
    of_all.querySelectorAll("button")[focused]?.focus({ preventScroll: true });
  };
  note.addEventListener("change", () => {
    const before = now();
    if (one !== null && before) reviews.set([one], { ...before, note: note.value.trim() });
  });
  show();
  return h(
    "form",
    { className: "review", aria: { label: `Review ${of}` }, on: { submit: (event) => (event.preventDefault(), setLabel()) } },
    h("h3", {}, one === null ? `Mark all ${count(paths.length)}` : "Review"),
    buttons,
    h("label", { htmlFor: label.id }, "Should be"),
    h("div", { className: "with-button" }, label, h("button", { type: "submit" }, "Set")),
    list,
    h("label", { htmlFor: note.id }, "Note"),
    note,
    said,
  );
}

/** How many pictures are marked, and what can be done with that; empty where nothing is. */
export function reviewBar(data: Dataset, reviews: Reviews): HTMLElement {
  const bar = h("div", { className: "review-bar" });
  const button = (name: string, act: () => void): HTMLElement =>
    h("button", { type: "button", className: "link", on: { click: act } }, name);
  const show = (): void => {
    const { named, gone } = splitMarked(data, reviews);
    bar.hidden = !named.length && !gone.length && !reviews.trouble && !reviews.canUndo;
    fill(
      bar,
      reviews.trouble && h("p", { className: "trouble", aria: { role: "alert" } }, reviews.trouble),
      h("p", {}, named.length ? `${pictures(named.length)} marked` : "No picture is marked"),
      named.length > 0 && button("Download review.csv", () => save("review.csv", reviewFile(data, reviews))),
      reviews.canUndo && button("Undo", () => reviews.undo()),
      gone.length > 0 && h("p", { className: "soft" }, `${pictures(gone.length)} with a mark ${gone.length === 1 ? "is" : "are"} not in this run and not in the file.`),
      gone.length > 0 && button("Forget these marks", () => reviews.set(gone, null)),
    );
  };
  reviews.onChange(show);
  show();
  return bar;
}
