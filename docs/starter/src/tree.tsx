import { useRef, useState } from "preact/hooks";
import type { Entry, Mark } from "./compare.ts";

interface Row {
  /** The whole path: a folder's ends with a slash. */
  path: string;
  name: string;
  depth: number;
  /** The mark of a file; of a closed folder, whether a file below it has one. */
  mark: Mark;
  /** Absent for a folder. */
  entry?: Entry;
  /** Absent for a file. */
  open?: boolean;
}

/** A folder with more entries starts closed: the kit would hide everything else. */
const CROWD = 12;

/** Letters that follow each other faster are one word, in milliseconds. */
const WORD = 700;

/** Return the visible rows, folders first; the visitor opened or closed the `turned` folders. */
function rowsOf(
  entries: Entry[],
  turned: ReadonlySet<string>,
  above = "",
  depth = 0,
): Row[] {
  const groups = Map.groupBy(entries, ({ path }) => path.slice(above.length).split("/", 1)[0]!);
  const isFile = (name: string) => groups.get(name)![0]!.path === above + name;
  const names = [...groups.keys()].sort(
    (a, b) => Number(isFile(a)) - Number(isFile(b)) || (a < b ? -1 : 1),
  );
  return names.flatMap((name) => {
    const inside = groups.get(name)!;
    const row = { name, depth };
    if (isFile(name)) {
      const [entry] = inside;
      return [{ ...row, path: entry!.path, mark: entry!.mark, entry: entry! }];
    }
    const path = `${above}${name}/`;
    const below = rowsOf(inside, turned, path, depth + 1);
    const direct = below.filter((other) => other.depth === depth + 1);
    const open = turned.has(path) === direct.length > CROWD;
    const mark = !open && inside.some((entry) => entry.mark !== "same") ? "changed" : "same";
    return [{ ...row, path, mark, open }, ...(open ? below : [])];
  });
}

interface Props {
  entries: Entry[];
  selected: string;
  onSelect: (entry: Entry) => void;
}

/** The files as a tree with one tab stop. Arrows and letters move, and show the file they reach. */
export function Tree({ entries, selected, onSelect }: Props) {
  const [turned, setTurned] = useState<ReadonlySet<string>>(new Set());
  const [focused, setFocused] = useState("");
  const list = useRef<HTMLUListElement>(null);
  const typed = useRef({ word: "", at: 0 });
  const rows = rowsOf(entries, turned);
  const known = (path: string) => rows.some((row) => row.path === path);
  const tabStop = [focused, selected].find(known) ?? rows[0]?.path;

  const turn = ({ path }: Row) => {
    const next = new Set(turned);
    if (!next.delete(path)) {
      next.add(path);
    }
    setTurned(next);
  };
  const act = (row: Row) => (row.entry ? onSelect(row.entry) : turn(row));
  const go = (row: Row | undefined) => {
    if (row) {
      (list.current!.children[rows.indexOf(row)] as HTMLElement).focus();
      if (row.entry) {
        onSelect(row.entry);
      }
    }
  };
  const type = (letter: string, index: number) => {
    const at = Date.now();
    const goesOn = at - typed.current.at < WORD;
    const word = (goesOn ? typed.current.word : "") + letter.toLowerCase();
    typed.current = { word, at };
    // A new word looks below this row first, a longer one starts with it.
    const start = goesOn ? index : index + 1;
    const others = [...rows.slice(start), ...rows.slice(0, start)];
    go(others.find(({ name }) => name.toLowerCase().startsWith(word)));
  };
  const press = (event: KeyboardEvent) => {
    const index = rows.findIndex((row) => row.path === tabStop);
    const row = rows[index];
    if (!row || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const parent = rows.slice(0, index).findLast((other) => other.depth < row.depth);
    const keys: Record<string, () => void> = {
      ArrowDown: () => go(rows[index + 1]),
      ArrowUp: () => go(rows[index - 1]),
      Home: () => go(rows[0]),
      End: () => go(rows.at(-1)),
      ArrowRight: () => (row.open ? go(rows[index + 1]) : row.entry || turn(row)),
      ArrowLeft: () => (row.open ? turn(row) : go(parent)),
      Enter: () => act(row),
      " ": () => act(row),
    };
    const key = keys[event.key] ?? (event.key.length === 1 && (() => type(event.key, index)));
    if (key) {
      event.preventDefault();
      key();
    }
  };

  return (
    <ul ref={list} role="tree" aria-label="Files" class="tree" onKeyDown={press}>
      {rows.map((row) => (
        <li
          key={row.path}
          role="treeitem"
          aria-level={row.depth + 1}
          aria-selected={row.path === selected}
          aria-expanded={row.open}
          tabIndex={row.path === tabStop ? 0 : -1}
          onFocus={() => setFocused(row.path)}
          onClick={() => act(row)}
        >
          {Array.from({ length: row.depth }, (_, depth) => (
            <span key={depth} class="guide" />
          ))}
          <span class={row.entry ? `file ${row.mark}` : "folder"}>{row.name}</span>
          {row.mark !== "same" && (
            <span class={`mark ${row.mark}`} title={row.mark}>
              <span aria-hidden="true">{SIGNS[row.mark]}</span>
              <span class="unseen">{row.mark}</span>
            </span>
          )}
        </li>
      ))}
    </ul>
  );
}

const SIGNS = { added: "+", removed: "−", changed: "±", renamed: "→" };
