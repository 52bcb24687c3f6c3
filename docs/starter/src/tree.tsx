import { useRef, useState } from "preact/hooks";
import type { Entry, Mark } from "./compare.ts";
import { type Row, rowsOf } from "./treerows.ts";

interface Props {
  entries: Entry[];
  selected: string;
  onSelect: (entry: Entry) => void;
}

/** The files as a tree of one tab stop: arrows move, and show the file that they come to. */
export function Tree({ entries, selected, onSelect }: Props) {
  const [turned, setTurned] = useState<ReadonlySet<string>>(new Set());
  const [focused, setFocused] = useState("");
  const list = useRef<HTMLUListElement>(null);
  const rows = rowsOf(entries, turned);
  const known = (path: string) => rows.some((row) => row.path === path);
  const tabStop = [focused, selected].find(known) ?? rows[0]?.path;

  const turn = (row: Row) => {
    const next = new Set(turned);
    if (!next.delete(row.path)) {
      next.add(row.path);
    }
    setTurned(next);
  };
  const act = (row: Row) => (row.entry ? onSelect(row.entry) : turn(row));
  const go = (row: Row | undefined) => {
    if (!row) {
      return;
    }
    (list.current?.children[rows.indexOf(row)] as HTMLElement | undefined)?.focus();
    if (row.entry) {
      onSelect(row.entry);
    }
  };
  const press = (event: KeyboardEvent) => {
    const index = rows.findIndex((row) => row.path === tabStop);
    const row = rows[index];
    if (!row || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const isClosed = !row.entry && !row.open;
    const keys: Record<string, () => void> = {
      ArrowDown: () => go(rows[index + 1]),
      ArrowUp: () => go(rows[index - 1]),
      Home: () => go(rows[0]),
      End: () => go(rows.at(-1)),
      ArrowRight: () => (isClosed ? turn(row) : row.open && go(rows[index + 1])),
      ArrowLeft: () => (row.open ? turn(row) : go(parentOf(row, rows))),
      Enter: () => act(row),
      " ": () => act(row),
    };
    const key = keys[event.key];
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
          aria-posinset={row.position}
          aria-setsize={row.siblings}
          aria-selected={row.path === selected}
          aria-expanded={row.entry ? undefined : row.open}
          tabIndex={row.path === tabStop ? 0 : -1}
          onFocus={() => setFocused(row.path)}
          onClick={() => act(row)}
        >
          {Array.from({ length: row.depth }, (_, depth) => (
            <span key={depth} class="guide" />
          ))}
          <span class={row.entry ? `file ${row.entry.mark}` : "folder"}>{row.name}</span>
          {row.entry ? (
            <Marked mark={row.entry.mark} />
          ) : (
            row.touched && !row.open && <Marked mark="changed" />
          )}
        </li>
      ))}
    </ul>
  );
}

const SIGNS: Record<Mark, string> = {
  same: "",
  added: "+",
  removed: "−",
  changed: "±",
  renamed: "→",
};

function Marked({ mark }: { mark: Mark }) {
  return mark === "same" ? null : (
    <span class={`mark ${mark}`} title={mark}>
      <span aria-hidden="true">{SIGNS[mark]}</span>
      <span class="unseen">{mark}</span>
    </span>
  );
}

function parentOf(row: Row, rows: Row[]): Row | undefined {
  const index = rows.indexOf(row);
  return rows.slice(0, index).findLast((other) => other.depth < row.depth);
}
