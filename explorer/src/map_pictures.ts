// The upper canvas of the map: the pictures themselves, and rings and lines around the chosen one.

import { css, labelColour } from "./colours";
import { onScreen, PICTURE, type Scene } from "./map_scene";
import { cellOf, type SheetCache } from "./thumbnails";

const MOST_SHOWN = 160;
const MOST_SHEETS = 24;

/** The pictures where there is room: the chosen one and its neighbours first, then what is selected. */
export function drawPictures(context: CanvasRenderingContext2D, scene: Scene, cache: SheetCache): void {
  const { data, state, palette, wide, high, order } = scene;
  const taken = new Set<string>();
  const sheets = new Set<string>();
  let shown = 0;
  const show = (at: number): void => {
    if (!state.visible[at] || shown >= MOST_SHOWN) return;
    const [x, y] = onScreen(scene, at);
    if (x < 0 || y < 0 || x > wide || y > high) return;
    const place = `${Math.floor(x / PICTURE)} ${Math.floor(y / PICTURE)}`;
    if (taken.has(place)) return;
    const cell = cellOf(data, at);
    if (!cell || (sheets.size >= MOST_SHEETS && !sheets.has(cell.sheet))) return;
    sheets.add(cell.sheet);
    taken.add(place);
    shown++;
    const image = cache.get(cell.sheet);
    if (!image) return;
    const scale = (PICTURE - 6) / Math.max(cell.width, cell.height);
    const [w, tall] = [cell.width * scale, cell.height * scale];
    context.globalAlpha = isFaded(scene, at) ? 0.15 : 1;
    context.fillStyle = css(labelColour(data.labels[data.label[at]!]!, state.dark));
    context.fillRect(x - w / 2 - 2, y - tall / 2 - 2, w + 4, tall + 4);
    context.drawImage(image, cell.x, cell.y, cell.width, cell.height, x - w / 2, y - tall / 2, w, tall);
    context.globalAlpha = 1;
    if (state.marked[at]) drawFrame(context, x, y, w + 9, tall + 9, css(palette.mark), css(palette.map));
  };
  if (state.selected >= 0) show(state.selected);
  for (const at of state.neighbours) show(at);
  if (state.selection) for (const at of order) if (state.selection[at]) show(at);
  for (const at of order) {
    if (shown >= MOST_SHOWN) break;
    show(at);
  }
}

/** The ring of a mark, around a picture. */
function drawFrame(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  wide: number,
  high: number,
  colour: string,
  ground: string,
): void {
  context.beginPath();
  context.roundRect(x - wide / 2, y - high / 2, wide, high, 8);
  context.lineWidth = 5;
  context.strokeStyle = ground;
  context.stroke();
  context.lineWidth = 3;
  context.strokeStyle = colour;
  context.stroke();
}

function isFaded({ data, state }: Scene, picture: number): boolean {
  if (state.highlighted >= 0) return data.label[picture] !== state.highlighted;
  return state.selection !== null && !state.selection[picture];
}

export function drawRing(
  context: CanvasRenderingContext2D,
  scene: Scene,
  picture: number,
  colour: string,
  width: number,
  radius: number,
): void {
  const [x, y] = onScreen(scene, picture);
  context.beginPath();
  context.arc(x, y, scene.state.pictures && scene.data.slot[picture]! >= 0 ? radius + 17 : radius, 0, 2 * Math.PI);
  context.lineWidth = width + 2;
  context.strokeStyle = css(scene.palette.map);
  context.stroke();
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke();
}

/** The chosen picture with lines to its neighbours. */
export function drawChosen(context: CanvasRenderingContext2D, scene: Scene): void {
  const { selected, neighbours } = scene.state;
  if (selected < 0) return;
  const ink = css(scene.palette.ink);
  const [x, y] = onScreen(scene, selected);
  context.strokeStyle = ink;
  context.lineWidth = 1;
  context.globalAlpha = 0.45;
  for (const at of neighbours) {
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(...onScreen(scene, at));
    context.stroke();
  }
  context.globalAlpha = 1;
  for (const at of neighbours) drawRing(context, scene, at, ink, 1.5, 9);
  drawRing(context, scene, selected, ink, 3, 12);
}
