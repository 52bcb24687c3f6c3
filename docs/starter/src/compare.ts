/** Which files of two renders belong together, and what became of each. */

import type { ProjectFile } from "./protocol.ts";

export type Mark = "same" | "added" | "removed" | "changed" | "renamed";

export interface Entry {
  path: string;
  mark: Mark;
  /** Of a removed file: what it was. */
  file: ProjectFile;
  /** The file that it was before; absent where it is added or nothing is compared. */
  before?: ProjectFile;
}

/** Lists files that are compared with nothing. */
export function entriesOf(files: ProjectFile[]): Entry[] {
  return files.map((file) => ({ path: file.path, mark: "same", file }));
}

/**
 * Compares two renders.
 *
 * A file is the same one where the path is; else where the source is, so that a renamed package
 * is no rewrite. Paths come first: no path is in the result twice then.
 */
export function compare(before: ProjectFile[], after: ProjectFile[]): Entry[] {
  const partners = new Map<ProjectFile, ProjectFile>();
  const left = new Set(before);
  for (const key of [pathOf, sourceOf]) {
    const found = new Map<string, ProjectFile[]>();
    for (const file of left) {
      found.set(key(file), [...(found.get(key(file)) ?? []), file]);
    }
    for (const file of after) {
      const partner = partners.has(file) ? undefined : found.get(key(file))?.shift();
      if (partner) {
        partners.set(file, partner);
        left.delete(partner);
      }
    }
  }
  const kept = after.map((file) => entryOf(file, partners.get(file)));
  const removed = [...left].map((file): Entry => ({
    path: file.path,
    mark: "removed",
    file,
    before: file,
  }));
  return [...kept, ...removed].sort((a, b) => (a.path < b.path ? -1 : 1));
}

const pathOf = (file: ProjectFile) => file.path;
const sourceOf = (file: ProjectFile) => file.source;

function entryOf(file: ProjectFile, before: ProjectFile | undefined): Entry {
  if (!before) {
    return { path: file.path, mark: "added", file };
  }
  const same = before.text === file.text && before.executable === file.executable;
  const mark = before.path !== file.path ? "renamed" : same ? "same" : "changed";
  return { path: file.path, mark, file, before };
}

/** Says in words how many files have which mark, such as "2 added, 1 changed". */
export function countsOf(entries: Entry[]): string {
  const marks: Mark[] = ["added", "removed", "changed", "renamed"];
  const counts = marks
    .map((mark) => [entries.filter((entry) => entry.mark === mark).length, mark] as const)
    .filter(([count]) => count > 0);
  return counts.map(([count, mark]) => `${count} ${mark}`).join(", ") || "no differences";
}
