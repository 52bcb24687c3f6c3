import { useMemo, useState } from "preact/hooks";
import { type Entry, compare, countsOf, entriesOf } from "./compare.ts";
import { FileView } from "./fileview.tsx";
import type { ProjectFile } from "./protocol.ts";
import { Tree } from "./tree.tsx";

/** What a visitor sees first, where the project has it. */
const FIRST = "README.md";

/** The files as a tree, one of them in full, and what became of them since they were pinned. */
export function Files({ files }: { files: ProjectFile[] }) {
  const [pinned, setPinned] = useState<ProjectFile[]>();
  const [onlyMarked, setOnlyMarked] = useState(false);
  const [chosen, setChosen] = useState<ProjectFile>();
  const entries = useMemo(
    () => (pinned ? compare(pinned, files) : entriesOf(files)),
    [pinned, files],
  );
  const shown = pinned && onlyMarked ? entries.filter((entry) => entry.mark !== "same") : entries;
  const entry = findEntry(shown, chosen);
  return (
    <>
      <div class="bar">
        <span class="counts" aria-live="polite">
          {pinned ? countsOf(entries) : `${files.length} files`}
        </span>
        {pinned && (
          <label class="check">
            <input
              type="checkbox"
              checked={onlyMarked}
              onChange={(event) => setOnlyMarked(event.currentTarget.checked)}
            />
            Changed files only
          </label>
        )}
        <span class="grow" />
        {pinned && (
          <button
            type="button"
            onClick={({ currentTarget }) => {
              (currentTarget.nextElementSibling as HTMLElement).focus();
              setPinned(undefined);
            }}
          >
            Stop comparing
          </button>
        )}
        <button
          type="button"
          title="Compare what you change next with these answers"
          disabled={!files.length}
          onClick={() => setPinned(files)}
        >
          Compare from here
        </button>
      </div>
      <div class="panes">
        <nav aria-label="Files of the project">
          {entry ? (
            <Tree entries={shown} selected={entry.path} onSelect={({ file }) => setChosen(file)} />
          ) : (
            <p class="none">No file differs.</p>
          )}
        </nav>
        {entry && <FileView entry={entry} />}
      </div>
    </>
  );
}

/** Finds the chosen file again: other answers can give it another path. */
function findEntry(entries: Entry[], chosen: ProjectFile | undefined): Entry | undefined {
  return (
    entries.find((entry) => entry.path === chosen?.path) ??
    entries.find((entry) => entry.file.source === chosen?.source) ??
    entries.find((entry) => entry.path === FIRST) ??
    entries[0]
  );
}
