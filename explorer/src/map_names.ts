// Labels' names on the map: beside their pictures, where they hide as few as may be.

import type KDBush from "kdbush";
import { css } from "./colours";
import { labelName } from "./dataset";
import { quantile } from "./geometry";
import { harmless } from "./harmless";
import { PICTURE, type Scene } from "./map_scene";

const MOST_NAMES = 40;
const HEIGHT = 16;
/** Outside of these a few outliers lie, which do not push a name away from its group. */
const [FIRST, LAST] = [0.03, 0.97];

interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Where the visible pictures of each label lie before zooming; null for a label without such. */
export function groupBoxes({ data, state, base }: Scene): (Box | null)[] {
  return data.members.map((members) => {
    const shown = members.filter((at) => state.visible[at]);
    if (!shown.length) return null;
    const [across, down] = [0, 1].map((axis) => Float64Array.from(shown, (at) => base[2 * at + axis]!).sort());
    return {
      left: quantile(across!, FIRST),
      right: quantile(across!, LAST),
      top: quantile(down!, FIRST),
      bottom: quantile(down!, LAST),
    };
  });
}

export function drawNames(
  context: CanvasRenderingContext2D,
  scene: Scene,
  boxes: readonly (Box | null)[],
  index: KDBush | null,
): void {
  context.font = "600 12px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  const placed: Box[] = [];
  for (let label = 0; label < Math.min(scene.data.labels.length, MOST_NAMES); label++) {
    const { highlighted } = scene.state;
    const box = boxes[label];
    if (!box || (highlighted >= 0 && label !== highlighted)) continue;
    const text = shortened(harmless(labelName(scene.data, label)));
    const place = bestPlace(scene, zoomed(scene, box), context.measureText(text).width / 2 + 5, placed, index);
    if (!place) continue;
    placed.push(place);
    const [x, y] = [(place.left + place.right) / 2, (place.top + place.bottom) / 2];
    context.lineWidth = 4;
    context.strokeStyle = css(scene.palette.map, 0.7);
    context.strokeText(text, x, y);
    context.fillStyle = css(scene.palette.ink, 0.85);
    context.fillText(text, x, y);
  }
}

function zoomed({ transform }: Scene, { left, top, right, bottom }: Box): Box {
  const [x0, y0] = transform.apply([left, top]);
  const [x1, y1] = transform.apply([right, bottom]);
  return { left: x0, top: y0, right: x1, bottom: y1 };
}

/** Above, below, beside or at a corner of a group, within the map and off the other names: where the fewest pictures lie. */
function bestPlace(scene: Scene, group: Box, half: number, placed: readonly Box[], index: KDBush | null): Box | null {
  const { wide, high } = scene;
  if (group.right < 0 || group.left > wide || group.bottom < 0 || group.top > high) return null;
  const gap = (scene.state.pictures ? PICTURE / 2 : 8) + HEIGHT / 2;
  const [x, y] = [(group.left + group.right) / 2, (group.top + group.bottom) / 2];
  const middles = [
    [x, group.top - gap],
    [x, group.bottom + gap],
    [group.right + gap + half, y],
    [group.left - gap - half, y],
    [group.left, group.top - gap],
    [group.right, group.top - gap],
    [group.left, group.bottom + gap],
    [group.right, group.bottom + gap],
  ] as const;
  let best: Box | null = null;
  let least = Infinity;
  for (const [across, down] of middles) {
    const cx = Math.min(wide - half, Math.max(half, across));
    const cy = Math.min(high - HEIGHT / 2, Math.max(HEIGHT / 2, down));
    const place = { left: cx - half, right: cx + half, top: cy - HEIGHT / 2, bottom: cy + HEIGHT / 2 };
    if (placed.some((other) => overlap(other, place))) continue;
    const hidden = picturesIn(scene, place, index);
    if (hidden < least) [best, least] = [place, hidden];
  }
  return best;
}

function overlap(one: Box, other: Box): boolean {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}

function picturesIn({ state, transform }: Scene, place: Box, index: KDBush | null): number {
  const reach = state.pictures ? PICTURE / 2 : 4;
  const [x0, y0] = transform.invert([place.left - reach, place.top - reach]);
  const [x1, y1] = transform.invert([place.right + reach, place.bottom + reach]);
  let found = 0;
  for (const at of index?.range(x0, y0, x1, y1) ?? []) found += state.visible[at]!;
  return found;
}

function shortened(text: string): string {
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}
