/** A flat list of files as the rows of a tree. */

import type { Entry } from "./compare.ts";

export interface Row {
  /** The whole path: a folder's ends with a slash. */
  path: string;
  name: string;
  /** How many folders it lies in. */
  depth: number;
  /** Absent for a folder. */
  entry?: Entry;
  /** Of a folder: whether a file below it is marked. */
  touched: boolean;
  position: number;
  siblings: number;
}

interface Folder {
  folders: Map<string, Folder>;
  files: Entry[];
}

/** Lists what is visible, folders first, without what lies in `closed` folders. */
export function rowsOf(entries: Entry[], closed: ReadonlySet<string>): Row[] {
  const rows: Row[] = [];
  addRows(folderOf(entries), "", 0, closed, rows);
  return rows;
}

function folderOf(entries: Entry[]): Folder {
  const root: Folder = { folders: new Map(), files: [] };
  for (const entry of entries) {
    let folder = root;
    for (const name of entry.path.split("/").slice(0, -1)) {
      const next = folder.folders.get(name) ?? { folders: new Map(), files: [] };
      folder.folders.set(name, next);
      folder = next;
    }
    folder.files.push(entry);
  }
  return root;
}

function addRows(
  { folders, files }: Folder,
  above: string,
  depth: number,
  closed: ReadonlySet<string>,
  rows: Row[],
): boolean {
  const siblings = folders.size + files.length;
  let position = 0;
  let touched = false;
  for (const name of [...folders.keys()].sort()) {
    const path = `${above}${name}/`;
    const row: Row = { path, name, depth, touched: false, position: ++position, siblings };
    rows.push(row);
    const below: Row[] = [];
    row.touched = addRows(folders.get(name)!, path, depth + 1, closed, below);
    touched ||= row.touched;
    if (!closed.has(path)) {
      rows.push(...below);
    }
  }
  for (const entry of files) {
    const marked = entry.mark !== "same";
    touched ||= marked;
    const name = entry.path.slice(above.length);
    rows.push({ path: entry.path, name, depth, entry, touched: marked, position: ++position, siblings });
  }
  return touched;
}
