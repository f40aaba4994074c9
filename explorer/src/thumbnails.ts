// Thumbnails: cells of sheets that are loaded when one of their pictures is shown.

import type { Dataset } from "./dataset";
import { fileName, labelName } from "./dataset";
import { h } from "./element";

interface Cell {
  sheet: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

export function cellOf(data: Dataset, picture: number): Cell | null {
  const slot = data.slot[picture]!;
  if (slot < 0) return null;
  const { cell, columns, cells } = data.about.sheets;
  const place = slot % cells;
  return {
    sheet: `data/sheet-${String(Math.floor(slot / cells)).padStart(4, "0")}.jpg`,
    x: (place % columns) * cell,
    y: Math.floor(place / columns) * cell,
    width: data.thumbWidth[picture]!,
    height: data.thumbHeight[picture]!,
  };
}

/** An element with a picture's thumbnail, at most `size` pixels on its longer side. */
export function thumbnail(data: Dataset, picture: number, size: number): HTMLElement {
  const cell = cellOf(data, picture);
  const name = `${labelName(data, picture === -1 ? 0 : data.label[picture]!)}: ${fileName(data, picture)}`;
  const element = h("span", { className: cell ? "thumb" : "thumb missing", aria: { role: "img", label: name } });
  if (!cell) {
    element.style.width = element.style.height = `${size}px`;
    element.textContent = "no picture";
    return element;
  }
  const scale = size / Math.max(cell.width, cell.height);
  const whole = data.about.sheets.cell * data.about.sheets.columns * scale;
  element.style.width = `${cell.width * scale}px`;
  element.style.height = `${cell.height * scale}px`;
  element.style.backgroundImage = `url("${cell.sheet}")`;
  element.style.backgroundSize = `${whole}px ${whole}px`;
  element.style.backgroundPosition = `${-cell.x * scale}px ${-cell.y * scale}px`;
  return element;
}

/** The sheets that a canvas draws from; forgets the ones used longest ago. */
export class SheetCache {
  private readonly images = new Map<string, HTMLImageElement>();

  constructor(
    private readonly most: number,
    private readonly onLoad: () => void,
  ) {}

  /** The sheet when it has loaded; else it is asked for, and `onLoad` is called when it is here. */
  get(sheet: string): HTMLImageElement | null {
    let image = this.images.get(sheet);
    if (image) {
      this.images.delete(sheet);
    } else {
      image = new Image();
      image.decoding = "async";
      image.onload = this.onLoad;
      image.src = sheet;
    }
    this.images.set(sheet, image);
    if (this.images.size > this.most) this.images.delete(this.images.keys().next().value!);
    return image.complete && image.naturalWidth > 0 ? image : null;
  }
}
