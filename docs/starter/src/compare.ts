/** Which files of two renders belong together, and how each of them changed. */

import type { ProjectFile } from "./protocol.ts";

export type Mark = "same" | "added" | "removed" | "changed" | "renamed";

export interface Entry {
  path: string;
  mark: Mark;
  /** If it is removed: the file before. */
  file: ProjectFile;
  /** The file that it was before; absent if it is added or nothing is compared. */
  before?: ProjectFile;
}

/**
 * Compare two renders.
 *
 * A file is the same if its path is; else if its source is, so that a renamed package is no
 * rewrite. Paths come first, so no path is in the result twice.
 */
export function compare(before: ProjectFile[], after: ProjectFile[]): Entry[] {
  const partners = new Map<ProjectFile, ProjectFile>();
  const left = new Set(before);
  for (const key of ["path", "source"] as const) {
    for (const file of after) {
      const partner = [...left].find((other) => other[key] === file[key]);
      if (partner && !partners.has(file)) {
        partners.set(file, partner);
        left.delete(partner);
      }
    }
  }
  const kept = after.map((file) => entryOf(file, partners.get(file)));
  const removed = [...left].map((file) => entryOf(file, file, "removed"));
  return [...kept, ...removed].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function entryOf(file: ProjectFile, before?: ProjectFile, mark: Mark = "added"): Entry {
  const { path } = file;
  if (!before || mark === "removed") {
    return { path, mark, file, ...(before && { before }) };
  }
  const same = before.text === file.text && before.executable === file.executable;
  return { path, mark: before.path !== path ? "renamed" : same ? "same" : "changed", file, before };
}

/** Return how many files have which mark, such as "2 added, 1 changed". */
export function countsOf(entries: Entry[]): string {
  const counts = ["added", "removed", "changed", "renamed"]
    .map((mark) => `${entries.filter((entry) => entry.mark === mark).length} ${mark}`)
    .filter((count) => !count.startsWith("0 "));
  return counts.join(", ") || "no differences";
}
