import { useMemo, useState } from "preact/hooks";
import { compare, countsOf } from "./compare.ts";
import { FileView } from "./fileview.tsx";
import type { ProjectFile } from "./protocol.ts";
import { Tree } from "./tree.tsx";

/** The file that a visitor sees first; an existing project has its own README. */
const FIRST = /^README\.md$|\/env\.py$/;

/** The files as a tree, one of them in full, and how they changed since they were pinned. */
export function Files({ files }: { files: ProjectFile[] }) {
  const [pinned, setPinned] = useState<ProjectFile[]>();
  const [chosen, setChosen] = useState<ProjectFile>();
  const entries = useMemo(() => compare(pinned ?? files, files), [pinned, files]);
  // Other answers can give the chosen file another path.
  const entry =
    entries.find(({ path }) => path === chosen?.path) ??
    entries.find(({ file }) => file.source === chosen?.source) ??
    entries.find(({ path }) => FIRST.test(path))!;
  return (
    <>
      <div class="bar">
        <span class="counts" aria-live="polite">
          {pinned ? countsOf(entries) : `${files.length} files`}
        </span>
        <span class="grow" />
        <button
          type="button"
          title="Compare your next changes with these answers"
          onClick={() => setPinned(pinned ? undefined : files)}
        >
          {pinned ? "Stop comparing" : "Compare from here"}
        </button>
      </div>
      <div class="panes">
        <nav aria-label="Files of the project">
          <Tree entries={entries} selected={entry.path} onSelect={({ file }) => setChosen(file)} />
        </nav>
        <FileView entry={entry} />
      </div>
    </>
  );
}
