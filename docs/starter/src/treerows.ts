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
  /** Of a folder: whether what lies in it is shown. */
  open: boolean;
  /** Of a folder: whether a file below it is marked. */
  touched: boolean;
  position: number;
  siblings: number;
}

interface Folder {
  folders: Map<string, Folder>;
  files: Entry[];
}

/** A folder of more entries, the kit's, would hide all others: it starts closed. */
const CROWD = 12;

/** Lists what is visible, folders first; the visitor opened or closed the `turned` folders. */
export function rowsOf(entries: Entry[], turned: ReadonlySet<string>): Row[] {
  const rows: Row[] = [];
  addRows(folderOf(entries), "", 0, turned, rows);
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
  turned: ReadonlySet<string>,
  rows: Row[],
): boolean {
  const siblings = folders.size + files.length;
  let position = 0;
  let touched = false;
  for (const name of [...folders.keys()].sort()) {
    const path = `${above}${name}/`;
    const folder = folders.get(name)!;
    position += 1;
    const below: Row[] = [];
    const marked = addRows(folder, path, depth + 1, turned, below);
    touched ||= marked;
    const open = turned.has(path) === folder.files.length + folder.folders.size > CROWD;
    rows.push({ path, name, depth, open, touched: marked, position, siblings });
    if (open) {
      rows.push(...below);
    }
  }
  for (const entry of files) {
    const marked = entry.mark !== "same";
    touched ||= marked;
    const name = entry.path.slice(above.length);
    position += 1;
    rows.push({
      path: entry.path,
      name,
      depth,
      entry,
      open: false,
      touched: marked,
      position,
      siblings,
    });
  }
  return touched;
}
