// Elements are made here only: what comes from the data becomes text, never markup, and harmless text.

import { harmless } from "./harmless";

type Child = Node | string | null | undefined | false;
type Properties<K extends keyof HTMLElementTagNameMap> = Partial<
  Omit<HTMLElementTagNameMap[K], "style" | "dataset" | "innerHTML" | "outerHTML">
> & {
  aria?: Record<string, string>;
  on?: { [E in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[E]) => void };
};

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties<K> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  const { aria, on, ...plain } = properties;
  Object.assign(element, plain);
  if (plain.title) element.title = harmless(plain.title);
  for (const [name, value] of Object.entries(aria ?? {})) {
    element.setAttribute(name === "role" ? "role" : `aria-${name}`, harmless(value));
  }
  for (const [name, listener] of Object.entries(on ?? {})) element.addEventListener(name, listener as EventListener);
  fill(element, ...children);
  return element;
}

/** Replaces what an element holds. */
export function fill(element: Element, ...children: Child[]): void {
  const there = children.filter((child): child is Node | string => child != null && child !== false);
  element.replaceChildren(...there.map((child) => (typeof child === "string" ? harmless(child) : child)));
}
