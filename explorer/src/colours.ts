// Labels' colours and shapes. Shapes and lightness differ too, so that a grey print and any eye can tell them apart.

export type Rgb = readonly [number, number, number];
export const SHAPES = ["circle", "square", "triangle", "diamond", "cross"] as const;
export type Shape = (typeof SHAPES)[number];

const LIGHT = ["#2f6f4f", "#c8501e", "#2b5c9e", "#b8860b", "#8a3a76", "#0f8b8d", "#6b5a3a", "#d1495b", "#5a7d2a", "#4b4e6d"];
const DARK = ["#6fcf97", "#ff9360", "#7fb2ff", "#f2c14e", "#e08acb", "#4fd1c5", "#cdb58b", "#ff8fa0", "#b3d96a", "#b3b7e0"];

/** The colour of a label; beyond ten labels hues go round, each time in another lightness. */
export function labelColour(label: number, dark: boolean): Rgb {
  if (label < LIGHT.length) return fromHex((dark ? DARK : LIGHT)[label]!);
  const hue = (label * 137.508) % 360;
  const lightness = (dark ? [0.72, 0.6, 0.82] : [0.4, 0.52, 0.3])[label % 3]!;
  return fromHsl(hue, 0.5, lightness);
}

export function labelShape(label: number): Shape {
  return SHAPES[label % SHAPES.length]!;
}

export function css([red, green, blue]: Rgb, alpha = 1): string {
  return `rgb(${red} ${green} ${blue} / ${alpha})`;
}

function fromHex(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

function fromHsl(hue: number, saturation: number, lightness: number): Rgb {
  const chroma = saturation * Math.min(lightness, 1 - lightness);
  const channel = (shift: number): number => {
    const at = (shift + hue / 30) % 12;
    return Math.round(255 * (lightness - chroma * Math.max(-1, Math.min(at - 3, 9 - at, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

/** Whether a place lies inside a shape; x and y are -1 to 1. */
export function inside(shape: Shape, x: number, y: number): boolean {
  switch (shape) {
    case "circle":
      return x * x + y * y <= 1;
    case "square":
      return Math.max(Math.abs(x), Math.abs(y)) <= 0.86;
    case "triangle":
      return y <= 0.78 && Math.abs(x) <= (y + 1) * 0.56;
    case "diamond":
      return Math.abs(x) + Math.abs(y) <= 1.08;
    case "cross":
      return Math.min(Math.abs(x), Math.abs(y)) <= 0.36 && Math.max(Math.abs(x), Math.abs(y)) <= 1;
  }
}
