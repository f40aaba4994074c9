// Groups of pictures that are the same or nearly so, as `data/duplicates.parquet` has them.

import { readColumns, type Dataset } from "./dataset";
import { readFile } from "./files";
import { indexOf } from "./review_file";

/** From the worst: the same picture in Training and Test makes a figure false, under two labels a label. */
export const WHERES = ["across the split", "across labels", "within a label"] as const;
export const KINDS = ["same bytes", "near"] as const;

export interface Member {
  path: string;
  label: string;
  /** Training, Test or nothing. */
  part: string;
  similarity: number;
  /** Its row among the pictures of the page; -1 when it is not shown. */
  picture: number;
}

export interface Group {
  number: number;
  kind: string;
  where: string;
  members: Member[];
}

/** All groups, the worst first. */
export async function loadDuplicates(data: Dataset): Promise<Group[]> {
  const columns = await readColumns(await readFile("duplicates.parquet"));
  const text = (name: string, at: number): string => String(columns[name]![at] ?? "");
  const index = indexOf(data);
  const groups = new Map<number, Group>();
  for (let at = 0; at < columns["group"]!.length; at++) {
    const number = Number(columns["group"]![at]);
    let group = groups.get(number);
    if (!group) groups.set(number, (group = { number, kind: text("kind", at), where: text("where", at), members: [] }));
    const path = text("path", at);
    const similarity = Number(columns["similarity"]![at]);
    group.members.push({ path, label: text("label", at), part: text("part", at), similarity, picture: index.get(path) ?? -1 });
  }
  const rank = (group: Group): number => (WHERES as readonly string[]).indexOf(group.where);
  return [...groups.values()].sort((a, b) => rank(a) - rank(b));
}
