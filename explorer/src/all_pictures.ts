// The search over all pictures of a run whose page shows a sample: a sorted list, of which a few parts are read.

import { asyncBufferFromUrl, parquetMetadataAsync, parquetReadObjects, type AsyncBuffer, type FileMetaData } from "hyparquet";
import type { Dataset } from "./dataset";
import { fill, h } from "./element";
import { isOnDisk } from "./files";
import { count, pictures } from "./words";

const MOST_FOUND = 20;
/** Parts of the list that one search reads; each is some hundred kilobytes. */
const MOST_PARTS = 8;
const LAST = "\u{10ffff}";

export interface Found {
  path: string;
  label: string;
  /** Why it could not be used; null for the others. */
  reason: string | null;
}

export class AllPictures {
  private opened?: Promise<{ file: AsyncBuffer; metadata: FileMetaData }>;

  constructor(
    private readonly url: string,
    private readonly root: string,
  ) {}

  /** Pictures whose path below the images' folder, or whose label, begins with a text: the first ones. */
  async find(text: string): Promise<Found[]> {
    this.opened ??= this.open();
    const { file, metadata } = await this.opened;
    const path = this.root + text;
    const found: Found[] = [];
    let start = 0;
    let read = 0;
    for (const group of metadata.row_groups) {
      const end = start + Number(group.num_rows);
      if (mayHold(group, "path", path) || mayHold(group, "label", text)) {
        const rows = await parquetReadObjects({ file, metadata, columns: ["path", "label", "reason"], rowStart: start, rowEnd: end });
        found.push(...(rows as unknown as Found[]).filter((row) => row.path.startsWith(path) || row.label.startsWith(text)));
        if (found.length >= MOST_FOUND || ++read === MOST_PARTS) break;
      }
      start = end;
    }
    return found.slice(0, MOST_FOUND);
  }

  private async open(): Promise<{ file: AsyncBuffer; metadata: FileMetaData }> {
    const file = await asyncBufferFromUrl({ url: this.url, requestInit: { cache: "no-cache", credentials: "same-origin" } });
    return { file, metadata: await parquetMetadataAsync(file) };
  }
}

/** Whether a part may hold a text that begins with another; by the least and the greatest that its footer tells. */
function mayHold(group: FileMetaData["row_groups"][number], column: string, text: string): boolean {
  const found = group.columns.find((one) => one.meta_data?.path_in_schema[0] === column)?.meta_data?.statistics;
  if (found?.min_value === undefined || found.max_value === undefined) return true;
  return String(found.max_value) >= text && String(found.min_value) <= text + LAST;
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
      const found = await all.find(text);
      if (asked !== text) return;
      const first = found.length === MOST_FOUND ? `the first ${count(MOST_FOUND)}` : count(found.length);
      fill(
        element,
        h("p", { className: "soft" }, found.length ? `${title}, ${first} whose path or label begins so:` : `${title}, none has a path or label that begins so.`),
        h("ul", {}, ...found.map(row)),
      );
    } catch (error) {
      if (asked === text) fill(element, h("p", { className: "soft" }, `${title}: the list could not be read: ${String(error)}`));
    }
  };
  return { element, look: (text) => void look(text) };
}
