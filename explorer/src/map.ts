// The map of all pictures: points on one canvas, what stands above them (pictures, names, rings) on another.

import KDBush from "kdbush";
import { select } from "d3-selection";
import { zoom, zoomIdentity, type ZoomTransform } from "d3-zoom";
import { css, labelColour, labelShape, type Rgb } from "./colours";
import { labelName, type Dataset } from "./dataset";
import { h } from "./element";
import { harmless } from "./harmless";
import { Sheet, stampOf, type Stamp } from "./stamps";
import { cellOf, SheetCache } from "./thumbnails";

const PAD = 36;
const PICK_RADIUS = 18;
const PICTURE = 46;
const MOST_PICTURES_SHOWN = 160;
const MOST_SHEETS_SHOWN = 24;
const MOST_NAMES = 40;

export interface MapState {
  x: number;
  y: number;
  visible: Uint8Array;
  selected: number;
  neighbours: readonly number[];
  /** A label whose pictures stand out; -1 for none. */
  highlighted: number;
  pictures: boolean;
  dark: boolean;
}

interface Callbacks {
  hover(picture: number, x: number, y: number): void;
  choose(picture: number): void;
}

export class PictureMap {
  readonly element: HTMLElement;
  private readonly points = h("canvas", { className: "points" });
  private readonly above = h("canvas", {
    className: "above",
    tabIndex: 0,
    aria: {
      role: "application",
      label: "Map of all pictures. Arrow keys go to the next picture in that direction, plus and minus zoom, zero shows all.",
    },
  });
  private readonly sheet = new Sheet();
  private readonly cache = new SheetCache(48, () => this.redraw());
  private readonly zoom = zoom<HTMLCanvasElement, unknown>().scaleExtent([0.8, 400]);
  private transform: ZoomTransform = zoomIdentity;
  private base = new Float32Array(0);
  private index: KDBush | null = null;
  private readonly order: Int32Array;
  private hovered = -1;
  private wide = 0;
  private high = 0;
  private asked = false;
  /** The middle of each label's visible pictures before zooming; null until it is asked for. */
  private middles: ([number, number] | null)[] | null = null;
  private palette = { map: [255, 255, 255] as Rgb, ink: [0, 0, 0] as Rgb, faint: [128, 128, 128] as Rgb };

  constructor(
    private readonly data: Dataset,
    private state: MapState,
    private readonly callbacks: Callbacks,
  ) {
    this.element = h("div", { className: "map" }, this.points, this.above);
    this.order = shuffled(data.n);
    this.listen();
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  update(change: Partial<MapState>): void {
    const moved = (change.x ?? this.state.x) !== this.state.x || (change.y ?? this.state.y) !== this.state.y;
    this.state = { ...this.state, ...change };
    if (moved) this.place();
    if (change.visible) this.middles = null;
    this.redraw();
  }

  zoomBy(factor: number): void {
    this.zoom.scaleBy(select(this.above), factor);
  }

  showAll(): void {
    this.zoom.transform(select(this.above), zoomIdentity);
  }

  /** Bring a picture into view without changing the scale, unless it is there. */
  reveal(picture: number): void {
    const [x, y] = this.screen(picture);
    if (x > PAD && y > PAD && x < this.wide - PAD && y < this.high - PAD) return;
    this.zoom.translateTo(select(this.above), this.base[2 * picture]!, this.base[2 * picture + 1]!);
  }

  redraw(): void {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.draw();
    });
  }

  private listen(): void {
    this.zoom.on("zoom", ({ transform }: { transform: ZoomTransform }) => {
      this.transform = transform;
      this.redraw();
    });
    select(this.above).call(this.zoom).on("dblclick.zoom", null);
    this.above.addEventListener("pointermove", (event) => {
      if (event.pointerType === "touch" || event.buttons) return this.hover(-1, 0, 0);
      this.hover(this.pick(event), event.offsetX, event.offsetY);
    });
    this.above.addEventListener("pointerleave", () => this.hover(-1, 0, 0));
    this.above.addEventListener("click", (event) => this.callbacks.choose(this.pick(event)));
    this.above.addEventListener("keydown", (event) => this.onKey(event));
  }

  private hover(picture: number, x: number, y: number): void {
    this.callbacks.hover(picture, x, y);
    if (picture !== this.hovered) {
      this.hovered = picture;
      this.above.style.cursor = picture < 0 ? "" : "pointer";
      this.redraw();
    }
  }

  private onKey(event: KeyboardEvent): void {
    const directions: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const direction = directions[event.key];
    if (direction) this.step(direction);
    else if (event.key === "+" || event.key === "=") this.zoomBy(1.5);
    else if (event.key === "-") this.zoomBy(1 / 1.5);
    else if (event.key === "0") this.showAll();
    else if (event.key === "Escape") this.callbacks.choose(-1);
    else return;
    event.preventDefault();
  }

  /** Choose the nearest visible picture that lies in a direction from the chosen one, or the one nearest the middle. */
  private step([dx, dy]: [number, number]): void {
    const from = this.state.selected;
    const [x, y] = from < 0 ? [this.wide / 2, this.high / 2] : this.screen(from);
    let best = -1;
    let least = Infinity;
    for (let at = 0; at < this.data.n; at++) {
      if (at === from || !this.state.visible[at]) continue;
      const [px, py] = this.screen(at);
      const along = from < 0 ? 0 : (px - x) * dx + (py - y) * dy;
      const aside = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
      if (from >= 0 && (along <= 0.5 || aside > along * 1.2)) continue;
      const distance = from < 0 ? Math.hypot(px - x, py - y) : along + 2 * aside;
      if (distance < least) [best, least] = [at, distance];
    }
    if (best < 0) return;
    this.callbacks.choose(best);
    this.reveal(best);
  }

  private pick(event: MouseEvent): number {
    if (!this.index) return -1;
    const [bx, by] = this.transform.invert([event.offsetX, event.offsetY]);
    let best = -1;
    let least = Infinity;
    for (const at of this.index.within(bx, by, PICK_RADIUS / this.transform.k)) {
      if (!this.state.visible[at]) continue;
      const distance = (this.base[2 * at]! - bx) ** 2 + (this.base[2 * at + 1]! - by) ** 2;
      if (distance < least) [best, least] = [at, distance];
    }
    return best;
  }

  private screen(picture: number): [number, number] {
    return this.transform.apply([this.base[2 * picture]!, this.base[2 * picture + 1]!]);
  }

  private resize(): void {
    const { clientWidth, clientHeight } = this.element;
    if (!clientWidth || !clientHeight || (clientWidth === this.wide && clientHeight === this.high)) return;
    this.wide = clientWidth;
    this.high = clientHeight;
    const dense = this.density();
    for (const canvas of [this.points, this.above]) {
      canvas.width = Math.round(clientWidth * dense);
      canvas.height = Math.round(clientHeight * dense);
    }
    this.zoom.extent([
      [0, 0],
      [clientWidth, clientHeight],
    ]);
    this.zoom.translateExtent([
      [-clientWidth * 0.5, -clientHeight * 0.5],
      [clientWidth * 1.5, clientHeight * 1.5],
    ]);
    this.place();
    this.redraw();
  }

  private density(): number {
    // Twice is enough for any eye; more only costs time.
    return Math.min(2, window.devicePixelRatio || 1);
  }

  /** Where each picture lies on the canvas before zooming. */
  private place(): void {
    if (!this.wide) return;
    const { n, components } = this.data;
    this.base = new Float32Array(2 * n);
    this.index = n ? new KDBush(n, 64, Float32Array) : null;
    const [xs, ys] = [components[this.state.x]!, components[this.state.y]!];
    const [x0, x1] = extent(xs);
    const [y0, y1] = extent(ys);
    for (let at = 0; at < n; at++) {
      const x = PAD + ((xs[at]! - x0) / (x1 - x0)) * (this.wide - 2 * PAD);
      const y = this.high - PAD - ((ys[at]! - y0) / (y1 - y0)) * (this.high - 2 * PAD);
      this.base[2 * at] = x;
      this.base[2 * at + 1] = y;
      this.index?.add(x, y);
    }
    this.index?.finish();
    this.middles = null;
  }

  private draw(): void {
    if (!this.wide) return;
    const began = performance.now();
    for (const name of ["map", "ink", "faint"] as const) this.palette[name] = colourOf(this.element, `--${name}-rgb`);
    this.drawPoints();
    this.drawAbove();
    performance.measure("verger map", { start: began, end: performance.now() });
  }

  private drawPoints(): void {
    const context = this.points.getContext("2d", { alpha: false })!;
    const { visible, highlighted, dark } = this.state;
    const dense = this.density();
    const { map: ground, faint } = this.palette;
    const radius = this.radius() * dense;
    const stamps: Stamp[] = this.data.labels.map((_, label) =>
      stampOf(radius < 2 ? "circle" : labelShape(label), radius),
    );
    const small = stampOf("circle", Math.max(1, radius * 0.55));
    const colours: Rgb[] = this.data.labels.map((_, label) => labelColour(label, dark));
    const { k, x: tx, y: ty } = this.transform;
    this.sheet.clear(this.points.width, this.points.height, ground);
    const put = (at: number, stamp: Stamp, colour: Rgb, alpha: number): void =>
      this.sheet.put((this.base[2 * at]! * k + tx) * dense, (this.base[2 * at + 1]! * k + ty) * dense, stamp, colour, alpha);
    // What is filtered away stays as a shadow, so that the rest keeps its place among all.
    for (const at of this.order) if (!visible[at]) put(at, small, faint, 0.8);
    for (const at of this.order) {
      if (!visible[at]) continue;
      const label = this.data.label[at]!;
      if (highlighted >= 0 && label !== highlighted) put(at, small, faint, 1);
      else if (highlighted < 0) put(at, stamps[label]!, colours[label]!, 0.92);
    }
    if (highlighted >= 0) {
      for (const at of this.data.members[highlighted]!) {
        if (visible[at]) put(at, stamps[highlighted]!, colours[highlighted]!, 1);
      }
    }
    this.sheet.show(context);
  }

  private radius(): number {
    const n = this.data.n;
    const least = n < 400 ? 5.5 : n < 3000 ? 4 : n < 20000 ? 2.6 : 1.6;
    return Math.min(7, least * Math.sqrt(Math.sqrt(Math.max(1, this.transform.k))));
  }

  private drawAbove(): void {
    const context = this.above.getContext("2d")!;
    const dense = this.density();
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.clearRect(0, 0, this.wide, this.high);
    const ink = css(this.palette.ink);
    const { selected, neighbours } = this.state;
    if (this.state.pictures) this.drawPictures(context);
    if (selected >= 0) {
      const [x, y] = this.screen(selected);
      context.strokeStyle = ink;
      context.lineWidth = 1;
      context.globalAlpha = 0.45;
      for (const at of neighbours) {
        const [nx, ny] = this.screen(at);
        context.beginPath();
        context.moveTo(x, y);
        context.lineTo(nx, ny);
        context.stroke();
      }
      context.globalAlpha = 1;
      for (const at of neighbours) this.ring(context, at, ink, 1.5, 9);
      this.ring(context, selected, ink, 3, 12);
    }
    this.drawNames(context, ink);
    if (this.hovered >= 0) this.ring(context, this.hovered, ink, 2, 11);
  }

  private ring(context: CanvasRenderingContext2D, picture: number, ink: string, width: number, radius: number): void {
    const [x, y] = this.screen(picture);
    context.beginPath();
    context.arc(x, y, this.state.pictures && this.data.slot[picture]! >= 0 ? radius + 17 : radius, 0, 2 * Math.PI);
    context.lineWidth = width + 2;
    context.strokeStyle = css(this.palette.map);
    context.stroke();
    context.lineWidth = width;
    context.strokeStyle = ink;
    context.stroke();
  }

  /** The pictures themselves where there is room: the chosen one and its neighbours first. */
  private drawPictures(context: CanvasRenderingContext2D): void {
    const taken = new Set<string>();
    const sheets = new Set<string>();
    let shown = 0;
    const show = (at: number): void => {
      if (!this.state.visible[at] || shown >= MOST_PICTURES_SHOWN) return;
      const [x, y] = this.screen(at);
      if (x < 0 || y < 0 || x > this.wide || y > this.high) return;
      const column = Math.floor(x / PICTURE);
      const row = Math.floor(y / PICTURE);
      const place = `${column} ${row}`;
      if (taken.has(place)) return;
      const cell = cellOf(this.data, at);
      if (!cell || (sheets.size >= MOST_SHEETS_SHOWN && !sheets.has(cell.sheet))) return;
      sheets.add(cell.sheet);
      taken.add(place);
      shown++;
      const image = this.cache.get(cell.sheet);
      if (!image) return;
      const scale = (PICTURE - 6) / Math.max(cell.width, cell.height);
      const [w, tall] = [cell.width * scale, cell.height * scale];
      const faded = this.state.highlighted >= 0 && this.data.label[at] !== this.state.highlighted;
      context.globalAlpha = faded ? 0.15 : 1;
      context.fillStyle = css(labelColour(this.data.label[at]!, this.state.dark));
      context.fillRect(x - w / 2 - 2, y - tall / 2 - 2, w + 4, tall + 4);
      context.drawImage(image, cell.x, cell.y, cell.width, cell.height, x - w / 2, y - tall / 2, w, tall);
      context.globalAlpha = 1;
    };
    if (this.state.selected >= 0) show(this.state.selected);
    for (const at of this.state.neighbours) show(at);
    for (const at of this.order) {
      if (shown >= MOST_PICTURES_SHOWN) break;
      show(at);
    }
  }

  /** Each label's name in the middle of its pictures, where names do not cover each other. */
  private drawNames(context: CanvasRenderingContext2D, ink: string): void {
    context.font = "600 13px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    this.middles ??= this.data.labels.map((_, label) => this.middle(label));
    const placed: [number, number, number][] = [];
    const ground = css(this.palette.map, 0.82);
    for (let label = 0; label < Math.min(this.data.labels.length, MOST_NAMES); label++) {
      if (this.state.highlighted >= 0 && label !== this.state.highlighted) continue;
      const middle = this.middles[label];
      if (!middle) continue;
      const [x, y] = this.transform.apply(middle);
      const text = shortened(harmless(labelName(this.data, label)));
      const half = context.measureText(text).width / 2 + 7;
      if (x < half || x > this.wide - half || y < 14 || y > this.high - 14) continue;
      if (placed.some(([px, py, other]) => Math.abs(px - x) < half + other && Math.abs(py - y) < 22)) continue;
      placed.push([x, y, half]);
      context.fillStyle = ground;
      context.beginPath();
      context.roundRect(x - half, y - 11, 2 * half, 22, 11);
      context.fill();
      context.fillStyle = ink;
      context.fillText(text, x, y + 0.5);
    }
  }

  private middle(label: number): [number, number] | null {
    const shown = this.data.members[label]!.filter((at) => this.state.visible[at]);
    if (!shown.length) return null;
    const median = (axis: number): number =>
      Float32Array.from(shown, (at) => this.base[2 * at + axis]!).sort()[shown.length >> 1]!;
    return [median(0), median(1)];
  }
}

function extent(values: Float32Array): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return high > low ? [low, high] : [low - 1, low + 1];
}

/** All numbers below n in an order without meaning, the same each time: no label lies over the others. */
function shuffled(n: number): Int32Array {
  const order = Int32Array.from({ length: n }, (_, at) => at);
  let seed = 1;
  for (let at = n - 1; at > 0; at--) {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    const other = seed % (at + 1);
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  return order;
}

function shortened(text: string): string {
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}

/** A colour variable of the style sheet, which holds `R G B`. */
function colourOf(element: Element, name: string): Rgb {
  const [red, green, blue] = getComputedStyle(element).getPropertyValue(name).trim().split(/\s+/).map(Number);
  return [red ?? 0, green ?? 0, blue ?? 0];
}
