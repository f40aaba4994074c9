// Labels' colours and shapes: made of the label's text alone, so that a label looks the same in every run and view.

export type Rgb = readonly [number, number, number];
export const SHAPES = ["circle", "square", "triangle", "diamond", "cross", "wedge", "saltire", "bow"] as const;
export type Shape = (typeof SHAPES)[number];

// No two have the same lightness: of two labels either the shape or the grey of a print differs.
const LIGHT = ["#022d6e", "#740c36", "#035026", "#77289a", "#7f4e21", "#0569a3", "#ce3633", "#01898c", "#a88104", "#e17524"];
const DARK = ["#698afd", "#ed7495", "#63eb92", "#d587f5", "#e5bfa2", "#67b6fe", "#e5574c", "#1df4fa", "#f1ed74", "#ffa762"];

/** Of all seeds the first with which ten common fruits have ten colours, and apples, bananas and oranges their own. */
const SEED = 2146572;

const known = new Map<string, number>();

/** A number of 32 bits that depends on each byte of a text (FNV-1a, then the mixing of MurmurHash3). */
function hashOf(text: string): number {
  const before = known.get(text);
  if (before !== undefined) return before;
  let hash = SEED;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash = (hash ^ (hash >>> 16)) >>> 0;
  known.set(text, hash);
  return hash;
}

export function labelColour(label: string, dark: boolean): Rgb {
  return fromHex((dark ? DARK : LIGHT)[hashOf(label) % LIGHT.length]!);
}

export function labelShape(label: string): Shape {
  return SHAPES[(hashOf(label) >>> 16) % SHAPES.length]!;
}

export function css([red, green, blue]: Rgb, alpha = 1): string {
  return `rgb(${red} ${green} ${blue} / ${alpha})`;
}

function fromHex(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** Whether a place lies inside a shape; x and y are -1 to 1. */
export function inside(shape: Shape | "ring", x: number, y: number): boolean {
  switch (shape) {
    case "circle":
      return x * x + y * y <= 1;
    case "square":
      return Math.max(Math.abs(x), Math.abs(y)) <= 0.86;
    case "triangle":
      return y <= 0.78 && Math.abs(x) <= (y + 1) * 0.56;
    case "wedge":
      return y >= -0.78 && Math.abs(x) <= (1 - y) * 0.56;
    case "diamond":
      return Math.abs(x) + Math.abs(y) <= 1.08;
    case "cross":
      return Math.min(Math.abs(x), Math.abs(y)) <= 0.36 && Math.max(Math.abs(x), Math.abs(y)) <= 1;
    case "saltire":
      return Math.abs(Math.abs(x) - Math.abs(y)) <= 0.46 && Math.max(Math.abs(x), Math.abs(y)) <= 0.92;
    case "bow":
      return Math.abs(y) <= 0.16 + Math.abs(x) * 0.8 && Math.abs(x) <= 1;
    case "ring":
      return x * x + y * y <= 1 && x * x + y * y >= 0.48;
  }
}
