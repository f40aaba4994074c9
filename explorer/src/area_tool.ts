// Drawing around pictures with the mouse, a pen or a finger: a lasso or a rectangle.

import type { Area } from "./selection";

export type Tool = "move" | "lasso" | "rectangle";
type Place = readonly [number, number];

/** Pixels that a pointer may tremble before it draws. */
const TREMBLE = 5;

interface Callbacks {
  redraw(): void;
  /** The area's corners on the screen, and whether it is added to what is selected. */
  done(corners: Place[], add: boolean): void;
}

export class AreaTool {
  tool: Tool = "move";
  private line: Place[] = [];
  private add = false;
  private hasDrawn = false;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly callbacks: Callbacks,
  ) {
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.go(event));
    canvas.addEventListener("pointerup", () => this.end());
    canvas.addEventListener("pointercancel", () => this.cancel());
  }

  get isDrawing(): boolean {
    return this.line.length > 0;
  }

  /** Whether the click that follows ends a drawing and chooses nothing. */
  endedByClick(): boolean {
    const ended = this.hasDrawn;
    this.hasDrawn = false;
    return ended;
  }

  /** Forget what is being drawn; whether there was something. */
  cancel(): boolean {
    const drawing = this.isDrawing;
    this.line = [];
    if (drawing) this.callbacks.redraw();
    return drawing;
  }

  /** The corners of what is being drawn, on the screen. */
  corners(): Place[] {
    const [first, last] = [this.line[0], this.line[this.line.length - 1]];
    if (!first || !last || this.tool === "lasso") return this.line;
    return [first, [last[0], first[1]], last, [first[0], last[1]]];
  }

  private begin(event: PointerEvent): void {
    this.hasDrawn = false;
    if (this.tool === "move" || event.button !== 0) return;
    // A second finger zooms.
    if (!event.isPrimary) return void this.cancel();
    this.add = event.shiftKey;
    this.line = [[event.offsetX, event.offsetY]];
    this.canvas.setPointerCapture(event.pointerId);
  }

  private go(event: PointerEvent): void {
    if (!this.isDrawing || !event.isPrimary) return;
    const [x, y] = this.line[this.line.length - 1]!;
    if (Math.hypot(event.offsetX - x, event.offsetY - y) < 2) return;
    this.line.push([event.offsetX, event.offsetY]);
    this.callbacks.redraw();
  }

  private end(): void {
    if (!this.isDrawing) return;
    const corners = this.corners();
    const [across, down] = [0, 1].map((axis) => {
      const values = corners.map((corner) => corner[axis]!);
      return Math.max(...values) - Math.min(...values);
    });
    this.line = [];
    this.hasDrawn = Math.max(across!, down!) > TREMBLE;
    if (this.hasDrawn && corners.length > 2) this.callbacks.done(corners, this.add);
    this.callbacks.redraw();
  }
}

/** An outline; the first corner follows the last. */
export function drawOutline(context: CanvasRenderingContext2D, corners: readonly Place[], ink: string, ground: string): void {
  if (corners.length < 2) return;
  context.beginPath();
  corners.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = ground;
  context.stroke();
  context.lineWidth = 1.5;
  context.strokeStyle = ink;
  context.setLineDash([6, 4]);
  context.stroke();
  context.setLineDash([]);
}

/** An area's corners on the screen. */
export function outlineOf(area: Area, toScreen: (x: number, y: number) => [number, number]): Place[] {
  const found: Place[] = [];
  for (let at = 0; at < area.corners.length; at += 2) found.push(toScreen(area.corners[at]!, area.corners[at + 1]!));
  return found;
}
