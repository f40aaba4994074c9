// The review: what a person says of pictures. Kept in the browser by path, so that it outlives the run.

export const MARKS = ["wrong label", "remove", "look again"] as const;
export type Mark = (typeof MARKS)[number];

export interface Review {
  mark: Mark;
  /** The label that it should have; empty where that is not said, and for other marks. */
  newLabel: string;
  note: string;
}

/** As it is kept: pictures with the same review together, names by folder, so that 50,000 marks fit. */
interface Kept {
  format: 1;
  reviews: { mark: Mark; new_label: string; note: string; folders: Record<string, string[]> }[];
}

const NOT_KEPT =
  "This browser does not keep the marks: its storage is full or blocked. Download review.csv before you leave this page.";

export class Reviews {
  /** Why the marks are not kept; null where they are. */
  trouble: string | null = null;
  private readonly key: string;
  private found = new Map<string, Review>();
  /** What the last change put something else in the place of. */
  private before: Map<string, Review | undefined> | null = null;
  private readonly listeners: (() => void)[] = [];

  constructor(private readonly root: string) {
    this.key = `verger review ${root}`;
    this.read();
    // Another tab of the same browser has changed them.
    window.addEventListener("storage", (event) => {
      if (event.key !== this.key && event.key !== null) return;
      this.before = null;
      this.read();
      this.tell();
    });
  }

  get size(): number {
    return this.found.size;
  }

  get canUndo(): boolean {
    return this.before !== null;
  }

  get(path: string): Review | undefined {
    return this.found.get(path);
  }

  paths(): string[] {
    return [...this.found.keys()].sort();
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Give pictures a review, or none. */
  set(paths: readonly string[], review: Review | null): void {
    this.change(new Map(paths.map((path) => [path, review ?? undefined])));
  }

  /** Take the last change back. */
  undo(): void {
    if (!this.before) return;
    this.change(this.before);
    this.before = null;
    this.tell();
  }

  /** 1 for each of some paths that has a review. */
  flags(paths: readonly string[]): Uint8Array {
    const flags = new Uint8Array(paths.length);
    if (this.found.size) paths.forEach((path, at) => this.found.has(path) && (flags[at] = 1));
    return flags;
  }

  private change(reviews: ReadonlyMap<string, Review | undefined>): void {
    this.before = new Map();
    for (const [path, review] of reviews) {
      this.before.set(path, this.found.get(path));
      if (review) this.found.set(path, review);
      else this.found.delete(path);
    }
    this.keep();
    this.tell();
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }

  private read(): void {
    try {
      this.found = unpacked(localStorage.getItem(this.key), this.root);
    } catch {
      this.trouble = NOT_KEPT;
    }
  }

  private keep(): void {
    try {
      localStorage.setItem(this.key, packed(this.found, this.root));
      this.trouble = null;
    } catch {
      this.trouble = NOT_KEPT;
    }
  }
}

function packed(found: ReadonlyMap<string, Review>, root: string): string {
  const kept: Kept = { format: 1, reviews: [] };
  const groups = new Map<string, Kept["reviews"][number]>();
  for (const [path, { mark, newLabel, note }] of found) {
    const key = JSON.stringify([mark, newLabel, note]);
    let group = groups.get(key);
    if (!group) {
      group = { mark, new_label: newLabel, note, folders: Object.create(null) as Record<string, string[]> };
      groups.set(key, group);
      kept.reviews.push(group);
    }
    const name = path.startsWith(root) ? path.slice(root.length) : path;
    const end = name.lastIndexOf("/") + 1;
    (group.folders[name.slice(0, end)] ??= []).push(name.slice(end));
  }
  return JSON.stringify(kept);
}

/** What was kept; what does not look like it is left out, for other pages of the same site write there, too. */
function unpacked(text: string | null, root: string): Map<string, Review> {
  const found = new Map<string, Review>();
  if (text === null) return found;
  let kept: Partial<Kept> | null;
  try {
    kept = JSON.parse(text) as Partial<Kept> | null;
  } catch {
    return found;
  }
  for (const group of Array.isArray(kept?.reviews) ? kept.reviews : []) {
    if (!MARKS.includes(group?.mark) || typeof group.folders !== "object" || !group.folders) continue;
    const review = { mark: group.mark, newLabel: String(group.new_label ?? ""), note: String(group.note ?? "") };
    for (const [folder, names] of Object.entries(group.folders)) {
      if (!Array.isArray(names)) continue;
      const start = folder.startsWith("s3://") ? folder : root + folder;
      for (const name of names) found.set(start + String(name), review);
    }
  }
  return found;
}

/** A review in a few words. */
export function reviewWords(review: Review | undefined): string {
  if (!review) return "";
  return review.newLabel ? `→ ${review.newLabel}` : review.mark;
}

/** A label as it is written into a review: that of the pictures where it is one of theirs. */
export function tidyLabel(text: string, known: readonly string[]): string {
  const label = text.normalize("NFC").trim();
  return known.find((one) => one.normalize("NFC") === label) ?? label;
}

/** Why a label cannot be the name of a folder, in one sentence; null where it can. */
export function labelProblem(label: string): string | null {
  if (!label) return "Write the label that it should have, or choose “Wrong label” alone.";
  if (label.includes("/")) return "A label is the name of one folder and cannot hold “/”.";
  if (/[\p{Cc}\u2028-\u202e\u2066-\u2069\ufffe\uffff]/u.test(label)) return "A label cannot hold control characters.";
  if (label.startsWith(".")) return "A label cannot begin with a dot: such folders are hidden and left out.";
  if (new TextEncoder().encode(label).length > 255) return "A label cannot be longer than 255 bytes.";
  return null;
}
