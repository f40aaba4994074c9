// The search over all pictures of a run whose page shows a sample: a sorted list, of which a few parts are read.

import { asyncBufferFromUrl, parquetMetadataAsync, parquetReadObjects, type AsyncBuffer, type FileMetaData } from "hyparquet";
import type { Dataset } from "./dataset";
import { fill, h } from "./element";
import { isOnDisk } from "./files";
import { count, pictures } from "./words";

const MOST_FOUND = 20;
/** Parts of the list that one search reads; each is some hundred kilobytes. */
const MOST_PARTS = 8;

export interface Found {
  path: string;
  label: string;
  /** Why it could not be used; null for the others. */
  reason: string | null;
}

/** What a search found, and whether it looked at all that may hold more. */
export interface Answer {
  found: Found[];
  whole: boolean;
}

type Opened = { file: AsyncBuffer; metadata: FileMetaData };
type Group = FileMetaData["row_groups"][number];

export class AllPictures {
  private opened: Promise<Opened> | undefined;

  constructor(
    private readonly url: string,
    private readonly root: string,
  ) {}

  /** Pictures whose path below the images' folder, or whose label, begins with a text: the first ones. */
  async find(text: string): Promise<Answer> {
    try {
      return await this.look(text);
    } catch (error) {
      // The next search asks again: for a request that was lost, and for a list that was published anew.
      this.opened = undefined;
      throw error;
    }
  }

  private async look(text: string): Promise<Answer> {
    const { file, metadata } = await (this.opened ??= this.open());
    const path = this.root + text;
    const starts: number[] = [];
    let rows = 0;
    for (const group of metadata.row_groups) {
      starts.push(rows);
      rows += Number(group.num_rows);
    }
    // Few parts hold a path, one beside the other; where folders lie in folders, many may hold a label.
    const byPath = metadata.row_groups.flatMap((group, at) => (mayHold(group, "path", path) ? [at] : []));
    const byLabel = metadata.row_groups.flatMap((group, at) => (mayHold(group, "label", text) && !byPath.includes(at) ? [at] : []));
    const found: Found[] = [];
    for (const parts of [byPath, byLabel]) {
      for (const at of parts.slice(0, MOST_PARTS)) {
        const rowStart = starts[at]!;
        const rowEnd = rowStart + Number(metadata.row_groups[at]!.num_rows);
        const part = await parquetReadObjects({ file, metadata, columns: ["path", "label", "reason"], rowStart, rowEnd });
        found.push(...(part as unknown as Found[]).filter((row) => row.path.startsWith(path) || row.label.startsWith(text)));
        if (found.length >= MOST_FOUND) return { found: found.slice(0, MOST_FOUND), whole: false };
      }
    }
    return { found, whole: byPath.length <= MOST_PARTS && byLabel.length <= MOST_PARTS };
  }

  private async open(): Promise<Opened> {
    const file = await asyncBufferFromUrl({ url: this.url, requestInit: { cache: "no-cache", credentials: "same-origin" } });
    return { file, metadata: await parquetMetadataAsync(file) };
  }
}

/** Whether a part may hold a text that begins with another, by the least and the greatest that its footer tells. */
function mayHold(group: Group, column: string, text: string): boolean {
  const found = group.columns.find((one) => one.meta_data?.path_in_schema[0] === column)?.meta_data?.statistics;
  if (found?.min_value === undefined || found.max_value === undefined) return true;
  const [least, greatest] = [String(found.min_value), String(found.max_value)];
  return !isBefore(greatest, text) && (!isBefore(text, least) || least.startsWith(text));
}

const encoder = new TextEncoder();

/** Whether a text comes before another in Parquet's order: that of their UTF-8 bytes, which is not JavaScript's. */
function isBefore(one: string, other: string): boolean {
  const [left, right] = [encoder.encode(one), encoder.encode(other)];
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    if (left[at] !== right[at]) return left[at]! < right[at]!;
  }
  return left.length < right.length;
}

/** What the search finds beyond the sample, below the field; `look` is called with what stands in it. */
export function searchAll(data: Dataset, choose: (picture: number) => void): { element: HTMLElement; look(text: string): void } {
  const element = h("div", { className: "everywhere", aria: { live: "polite" } });
  const { about } = data;
  const all = new AllPictures("data/all.parquet", about.images_uri);
  const at = new Map(data.paths.map((path, picture) => [path, picture]));
  let asked = "";
  const row = (found: Found): HTMLElement => {
    const name = found.path.slice(about.images_uri.length);
    const shown = at.get(found.path);
    if (shown !== undefined)
      return h("li", {}, h("button", { type: "button", className: "link", on: { click: () => choose(shown) } }, name));
    return h("li", {}, name, h("span", { className: "soft" }, found.reason === null ? " not in the sample" : ` not used: ${found.reason}`));
  };
  const look = async (text: string): Promise<void> => {
    asked = text;
    if (!text) return fill(element);
    const title = `Of all ${pictures(about.of_pictures ?? data.n)}`;
    if (isOnDisk) return fill(element, h("p", { className: "soft" }, `${title}: open the published page to search them.`));
    fill(element, h("p", { className: "soft" }, `${title}: looking …`));
    try {
      const { found, whole } = await all.find(text);
      if (asked !== text) return;
      const first = whole ? count(found.length) : `the first ${count(found.length)}`;
      const none = whole ? "none has a path or label that begins so." : "none was found in the parts looked at: write more of the path.";
      fill(
        element,
        h("p", { className: "soft" }, found.length ? `${title}, ${first} whose path or label begins so:` : `${title}, ${none}`),
        h("ul", {}, ...found.map(row)),
      );
    } catch (error) {
      if (asked === text) fill(element, h("p", { className: "soft" }, `${title}: the list could not be read: ${String(error)}`));
    }
  };
  return { element, look: (text) => void look(text) };
}
