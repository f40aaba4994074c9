// Points as stamps of pixels: a picture of 50,000 of them is put together in milliseconds, without WebGL and without
// the code made at run time that WebGL libraries need and a strict content security policy forbids.

import type { Rgb, Shape } from "./colours";
import { inside } from "./colours";

/** Pixels around the canvas that points may lap over, so that no stamp is cut while it is put down. */
export const MARGIN = 24;
const FINE = 4;

/** A point's pixels: offsets from its middle with their cover, 0 to 255. */
export interface Stamp {
  dx: Int8Array;
  dy: Int8Array;
  cover: Uint8Array;
}

const known = new Map<string, Stamp>();

export function stampOf(shape: Shape | "ring", radius: number): Stamp {
  const key = `${shape} ${radius.toFixed(2)}`;
  const before = known.get(key);
  if (before) return before;
  const reach = Math.ceil(radius);
  const found: [number, number, number][] = [];
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      let hits = 0;
      for (let fine = 0; fine < FINE * FINE; fine++) {
        const fx = x + ((fine % FINE) + 0.5) / FINE - 0.5;
        const fy = y + (Math.floor(fine / FINE) + 0.5) / FINE - 0.5;
        if (inside(shape, fx / radius, fy / radius)) hits++;
      }
      if (hits) found.push([x, y, Math.round((hits * 255) / (FINE * FINE))]);
    }
  }
  const stamp = {
    dx: Int8Array.from(found, ([x]) => x),
    dy: Int8Array.from(found, ([, y]) => y),
    cover: Uint8Array.from(found, ([, , cover]) => cover),
  };
  known.set(key, stamp);
  return stamp;
}

/** A picture that stamps are put on. */
export class Sheet {
  private image = new ImageData(1, 1);
  private pixels = new Uint32Array(this.image.data.buffer);
  private width = 0;
  private height = 0;

  clear(width: number, height: number, ground: Rgb): void {
    if (width !== this.width || height !== this.height) {
      this.width = width;
      this.height = height;
      this.image = new ImageData(width + 2 * MARGIN, height + 2 * MARGIN);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    this.pixels.fill(packed(ground));
  }

  put(x: number, y: number, stamp: Stamp, colour: Rgb, alpha: number): void {
    const left = Math.round(x) + MARGIN;
    const top = Math.round(y) + MARGIN;
    const wide = this.width + 2 * MARGIN;
    const reach = MARGIN / 2;
    if (left < reach || top < reach || left >= wide - reach || top >= this.height + 2 * MARGIN - reach) return;
    const { dx, dy, cover } = stamp;
    const whole = packed(colour);
    const data = this.image.data;
    const start = top * wide + left;
    for (let at = 0; at < cover.length; at++) {
      const place = start + dy[at]! * wide + dx[at]!;
      const share = cover[at]! * alpha;
      if (share >= 255) {
        this.pixels[place] = whole;
        continue;
      }
      const byte = place * 4;
      const part = share / 255;
      data[byte]! += (colour[0] - data[byte]!) * part;
      data[byte + 1]! += (colour[1] - data[byte + 1]!) * part;
      data[byte + 2]! += (colour[2] - data[byte + 2]!) * part;
    }
  }

  show(context: CanvasRenderingContext2D): void {
    context.putImageData(this.image, -MARGIN, -MARGIN);
  }
}

function packed([red, green, blue]: Rgb): number {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
