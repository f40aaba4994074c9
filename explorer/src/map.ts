// The map of all pictures: points on one canvas, what stands above them (pictures, names, rings) on another.

import KDBush from "kdbush";
import { select } from "d3-selection";
import { zoom, zoomIdentity, type ZoomTransform } from "d3-zoom";
import { AreaTool, drawOutline, outlineOf, type Tool } from "./area_tool";
import { css } from "./colours";
import type { Dataset } from "./dataset";
import { h } from "./element";
import { drawNames, groupBoxes } from "./map_names";
import { drawChosen, drawPictures, drawRing } from "./map_pictures";
import { drawPoints } from "./map_points";
import { colourOf, onScreen, PAD, scaleOf, shuffled, type MapState, type Palette, type Scale, type Scene } from "./map_scene";
import { areaOf, simplified, type Area } from "./selection";
import { Sheet } from "./stamps";
import { SheetCache } from "./thumbnails";

const PICK_RADIUS = 18;
/** Pixels that a lasso may lose when its corners become fewer: the address holds them all. */
const SIMPLER = 2;

interface Callbacks {
  hover(picture: number, x: number, y: number): void;
  choose(picture: number): void;
  /** An area was drawn; added to what is selected, or in its place. */
  select(area: Area, add: boolean): void;
}

export class PictureMap {
  readonly element: HTMLElement;
  private readonly points = h("canvas", { className: "points" });
  private readonly above = h("canvas", {
    className: "above",
    tabIndex: 0,
    aria: {
      role: "application",
      label: "Map of all pictures. Arrow keys go to the next picture in that direction, plus and minus zoom, zero shows all, Escape clears.",
    },
  });
  private readonly sheet = new Sheet();
  private readonly cache = new SheetCache(48, () => this.redrawAbove());
  private readonly zoom = zoom<HTMLCanvasElement, unknown>().scaleExtent([0.8, 400]);
  private readonly drawn: AreaTool;
  private transform: ZoomTransform = zoomIdentity;
  private base = new Float32Array(0);
  private across: Scale = scaleOf(new Float32Array(0), 0, 1);
  private up: Scale = this.across;
  private index: KDBush | null = null;
  private readonly order: Int32Array;
  private hovered = -1;
  private wide = 0;
  private high = 0;
  private asked = false;
  /** Whether the points have changed since they were drawn: a line that is being drawn does not change them. */
  private stale = true;
  /** Where each label's visible pictures lie before zooming; null until it is asked for. */
  private boxes: ReturnType<typeof groupBoxes> | null = null;
  private palette: Palette = { map: [255, 255, 255], ink: [0, 0, 0], faint: [128, 128, 128], mark: [160, 0, 60] };

  constructor(
    private readonly data: Dataset,
    private state: MapState,
    private readonly callbacks: Callbacks,
  ) {
    this.element = h("div", { className: "map" }, this.points, this.above);
    this.order = shuffled(data.n);
    this.drawn = new AreaTool(this.above, {
      redraw: () => this.redrawAbove(),
      done: (corners, add) => this.callbacks.select(this.areaAround(simplified(corners, SIMPLER)), add),
    });
    this.listen();
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  update(change: Partial<MapState>): void {
    const moved = (change.x ?? this.state.x) !== this.state.x || (change.y ?? this.state.y) !== this.state.y;
    this.state = { ...this.state, ...change };
    if (moved) this.place();
    if (change.visible) this.boxes = null;
    this.redraw();
  }

  use(tool: Tool): void {
    this.drawn.cancel();
    this.drawn.tool = tool;
    this.element.dataset["tool"] = tool;
  }

  /** The area that the map shows now. */
  view(): Area {
    return this.areaAround([[0, 0], [this.wide, 0], [this.wide, this.high], [0, this.high]]);
  }

  zoomBy(factor: number): void {
    this.zoom.scaleBy(select(this.above), factor);
  }

  showAll(): void {
    this.zoom.transform(select(this.above), zoomIdentity);
  }

  /** Bring a picture into view without changing the scale, unless it is there. */
  reveal(picture: number): void {
    const [x, y] = onScreen(this.scene(), picture);
    if (x > PAD && y > PAD && x < this.wide - PAD && y < this.high - PAD) return;
    this.zoom.translateTo(select(this.above), this.base[2 * picture]!, this.base[2 * picture + 1]!);
  }

  redraw(): void {
    this.stale = true;
    this.redrawAbove();
  }

  /** Draw what stands above the points again, and these only where they have changed. */
  private redrawAbove(): void {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.draw();
    });
  }

  /** Forget what is being drawn; whether there was something. */
  cancelDrawing(): boolean {
    return this.drawn.cancel();
  }

  private scene(): Scene {
    const { data, state, palette, base, transform, wide, high, order } = this;
    return { data, state, palette, base, transform, wide, high, dense: this.density(), order };
  }

  private areaAround(corners: readonly (readonly [number, number])[]): Area {
    const { x, y } = this.state;
    return areaOf(x, y, corners.map(([px, py]) => [
      this.across.toValue(this.transform.invertX(px)),
      this.up.toValue(this.transform.invertY(py)),
    ]));
  }

  private listen(): void {
    this.zoom
      .filter((event: MouseEvent | TouchEvent) => this.zooms(event))
      .on("zoom", ({ transform }: { transform: ZoomTransform }) => {
        this.transform = transform;
        this.drawn.cancel();
        this.redraw();
      });
    select(this.above).call(this.zoom).on("dblclick.zoom", null);
    this.above.addEventListener("pointermove", (event) => {
      if (event.pointerType === "touch" || event.buttons) return this.hover(-1, 0, 0);
      this.hover(this.pick(event), event.offsetX, event.offsetY);
    });
    this.above.addEventListener("pointerleave", () => this.hover(-1, 0, 0));
    this.above.addEventListener("click", (event) => {
      if (!this.drawn.endedByClick()) this.callbacks.choose(this.pick(event));
    });
    this.above.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** The wheel and two fingers zoom whatever the tool; dragging moves the map only where it does not draw. */
  private zooms(event: MouseEvent | TouchEvent): boolean {
    if (event.type === "wheel") return true;
    if ("touches" in event) return this.drawn.tool === "move" || event.touches.length > 1;
    return this.drawn.tool === "move" ? !event.ctrlKey && !event.button : event.button === 1;
  }

  private hover(picture: number, x: number, y: number): void {
    this.callbacks.hover(picture, x, y);
    if (picture !== this.hovered) {
      this.hovered = picture;
      this.above.style.cursor = picture < 0 ? "" : "pointer";
      this.redrawAbove();
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
    else return;
    event.preventDefault();
  }

  /** Choose the nearest visible picture that lies in a direction from the chosen one, or the one nearest the middle. */
  private step([dx, dy]: [number, number]): void {
    const scene = this.scene();
    const from = this.state.selected;
    const [x, y] = from < 0 ? [this.wide / 2, this.high / 2] : onScreen(scene, from);
    let best = -1;
    let least = Infinity;
    for (let at = 0; at < this.data.n; at++) {
      if (at === from || !this.state.visible[at]) continue;
      const [px, py] = onScreen(scene, at);
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
    this.zoom.extent([[0, 0], [clientWidth, clientHeight]]);
    this.zoom.translateExtent([[-clientWidth * 0.5, -clientHeight * 0.5], [clientWidth * 1.5, clientHeight * 1.5]]);
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
    this.across = scaleOf(xs, PAD, this.wide - PAD);
    this.up = scaleOf(ys, this.high - PAD, PAD);
    for (let at = 0; at < n; at++) {
      const [x, y] = [this.across.toPixel(xs[at]!), this.up.toPixel(ys[at]!)];
      this.base[2 * at] = x;
      this.base[2 * at + 1] = y;
      this.index?.add(x, y);
    }
    this.index?.finish();
    this.boxes = null;
  }

  private draw(): void {
    if (!this.wide) return;
    const began = performance.now();
    for (const name of ["map", "ink", "faint", "mark"] as const) this.palette[name] = colourOf(this.element, `--${name}-rgb`);
    if (this.stale) drawPoints(this.scene(), this.sheet, this.points);
    this.stale = false;
    this.drawAbove();
    performance.measure("verger map", { start: began, end: performance.now() });
  }

  private drawAbove(): void {
    const context = this.above.getContext("2d")!;
    const scene = this.scene();
    const { state, wide, high, dense } = scene;
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.clearRect(0, 0, wide, high);
    const [ink, ground] = [css(this.palette.ink), css(this.palette.map)];
    if (state.pictures) drawPictures(context, scene, this.cache);
    drawChosen(context, scene);
    this.boxes ??= groupBoxes(scene);
    drawNames(context, scene, this.boxes, this.index);
    const toScreen = (x: number, y: number): [number, number] =>
      this.transform.apply([this.across.toPixel(x), this.up.toPixel(y)]);
    for (const area of state.areas) {
      if (area.x === state.x && area.y === state.y) drawOutline(context, outlineOf(area, toScreen), ink, ground);
    }
    drawOutline(context, this.drawn.corners(), ink, ground);
    if (this.hovered >= 0) drawRing(context, scene, this.hovered, ink, 2, 11);
  }
}
