// The pictures: what `data/` holds, and what follows from it.

import { parquetMetadataAsync, parquetRead } from "hyparquet";
import { readFile, readJson } from "./files";
import { distancesTo, groupCentres, groupDistances, meanOf } from "./geometry";

/** `about.json` (docs/formats.md). */
export interface About {
  format: number;
  run_id: string;
  images_uri: string;
  pictures: number;
  /** How many the run has: more than `pictures` where a sample is shown. Not in data of earlier versions. */
  of_pictures?: number;
  k: number;
  neighbours: number;
  sheets: { count: number; cell: number; columns: number; cells: number };
  rejects: number;
  of_rejects?: number;
  scree: { component: number; share: number; kept: boolean }[];
}

export const SAME = 0;
export const NEW = 1;
export const CHANGED = 2;

export interface Dataset {
  about: About;
  n: number;
  k: number;
  paths: string[];
  /** Index into `labels`, of each picture. */
  label: Int32Array;
  /** Names, most pictures first. */
  labels: string[];
  members: Int32Array[];
  /** One array of n scores for each component. */
  components: Float32Array[];
  width: Int32Array;
  height: Int32Array;
  bytes: Float64Array;
  slot: Int32Array;
  thumbWidth: Int32Array;
  thumbHeight: Int32Array;
  change: Int32Array;
  /** What surrounds each picture, calculated when the run was published; null for very many pictures. */
  around: { agreeing: Int32Array; other: Int32Array; others: Int32Array; nearest: Float32Array } | null;
  centres: Float64Array[];
  fromAll: Float32Array;
  fromGroup: Float32Array;
}

type Columns = Record<string, ArrayLike<any>>;

export async function loadDataset(): Promise<Dataset> {
  const about = (await readJson("about.json")) as About;
  if (about.format !== 1) throw new Error(`the data is of format ${about.format}, this page reads format 1`);
  const [points, scores] = await Promise.all([readFile("points.parquet"), readFile("components.f32")]);
  const n = about.pictures;
  const k = about.k;
  if (scores.byteLength !== n * k * 4) throw new Error("components.f32 does not fit about.json");
  const columns = await readColumns(points);
  const components = Array.from({ length: k }, (_, at) => new Float32Array(scores, at * n * 4, n));
  const { labels, label, members } = groupByLabel(columns["label"] as ArrayLike<string>);
  const centres = groupCentres(components, members);
  return {
    about,
    n,
    k,
    paths: Array.from(columns["path"] as ArrayLike<string>),
    label,
    labels,
    members,
    components,
    width: Int32Array.from(columns["width"]),
    height: Int32Array.from(columns["height"]),
    bytes: Float64Array.from(columns["bytes"]),
    slot: Int32Array.from(columns["slot"]),
    thumbWidth: Int32Array.from(columns["thumbnail_width"]),
    thumbHeight: Int32Array.from(columns["thumbnail_height"]),
    change: Int32Array.from(columns["change"]),
    around: columns["agreeing"] ? aroundOf(columns, labels) : null,
    centres,
    fromAll: distancesTo(components, meanOf(components)),
    fromGroup: groupDistances(components, label, centres),
  };
}

/** Whether the run has more pictures than these. */
export function isSample(data: Dataset): boolean {
  return (data.about.of_pictures ?? data.n) > data.n;
}

/** Every column of a Parquet file, whole. */
export async function readColumns(file: ArrayBuffer): Promise<Columns> {
  const metadata = await parquetMetadataAsync(file);
  const pieces: Record<string, ArrayLike<any>[]> = {};
  for (const { name } of metadata.schema.slice(1)) pieces[name] = [];
  await parquetRead({ file, metadata, onChunk: ({ columnName, columnData }) => pieces[columnName]!.push(columnData) });
  return Object.fromEntries(Object.entries(pieces).map(([name, found]) => [name, joined(found)]));
}

function joined(pieces: ArrayLike<any>[]): ArrayLike<any> {
  if (pieces.length === 1) return pieces[0]!;
  const all: any[] = [];
  for (const piece of pieces) for (let at = 0; at < piece.length; at++) all.push(piece[at]);
  return all;
}

function groupByLabel(names: ArrayLike<string>): { labels: string[]; label: Int32Array; members: Int32Array[] } {
  const found = new Map<string, number[]>();
  for (let at = 0; at < names.length; at++) {
    const group = found.get(names[at]!);
    if (group) group.push(at);
    else found.set(names[at]!, [at]);
  }
  const groups = [...found].sort((a, b) => b[1].length - a[1].length || (a[0] < b[0] ? -1 : 1));
  const label = new Int32Array(names.length);
  groups.forEach(([, group], number) => group.forEach((at) => (label[at] = number)));
  return {
    labels: groups.map(([name]) => name),
    label,
    members: groups.map(([, group]) => Int32Array.from(group)),
  };
}

function aroundOf(columns: Columns, labels: string[]): NonNullable<Dataset["around"]> {
  const numbers = new Map(labels.map((name, at) => [name, at]));
  const others = columns["other"] as ArrayLike<string | null | undefined>;
  return {
    agreeing: Int32Array.from(columns["agreeing"]!),
    other: Int32Array.from({ length: others.length }, (_, at) => numbers.get(others[at] ?? "\0") ?? -1),
    others: Int32Array.from(columns["others"]!),
    nearest: Float32Array.from(columns["nearest"]!),
  };
}

/** A label as it is shown. */
export function labelName(data: Dataset, label: number): string {
  return data.labels[label] || "(no label)";
}

/** The file's name, without its folders. */
export function fileName(data: Dataset, picture: number): string {
  const path = data.paths[picture]!;
  return path.slice(path.lastIndexOf("/") + 1);
}
