import { useMemo, useState } from "preact/hooks";
import { type Entry, compare, countsOf, entriesOf } from "./compare.ts";
import { FileView } from "./fileview.tsx";
import { Picture } from "./picture.tsx";
import type { ProjectFile } from "./protocol.ts";
import type { Session } from "./session.ts";
import type { View } from "./tabs.tsx";
import { Tree } from "./tree.tsx";

/** What a visitor sees first, where the project has it. */
const FIRST = "README.md";

/** The project that the answers make. */
export function Preview({ session, view }: { session: Session; view: View }) {
  const { picture, message } = session.render;
  return (
    <>
      <Notice session={session} />
      <div id="panel-files" role="tabpanel" aria-labelledby="tab-files" hidden={view !== "files"}>
        <Files session={session} />
      </div>
      <div id="panel-layout" role="tabpanel" aria-labelledby="tab-layout" hidden={view !== "layout"}>
        <p class="caption">
          An arrow goes from a module to one that it imports. A dashed box belongs to the template, which keeps it
          up to date.
        </p>
        <Picture svg={picture} />
      </div>
      <div id="panel-next" role="tabpanel" aria-labelledby="tab-next" hidden={view !== "next"}>
        <pre class="message" tabIndex={0} role="region" aria-label="What Copier says after the copy">
          {message}
        </pre>
      </div>
    </>
  );
}

function Notice({ session }: { session: Session }) {
  return (
    <div role="status" class="notice">
      {noticeOf(session)}
    </div>
  );
}

function noticeOf({ status, milliseconds, fresh, refusal, render }: Session): string {
  if (status.state === "failed") {
    const shown = milliseconds ? "what was rendered last" : "the defaults";
    return `Copier cannot run here: ${status.reason}. The preview shows ${shown}; the command has your answers.`;
  }
  if (refusal) {
    return `Copier could not render these answers: ${refusal}. The preview shows earlier ones.`;
  }
  if (status.state === "starting" && !fresh) {
    return "The preview shows the defaults until Copier has started.";
  }
  return render.files.length ? "" : "There is a project to see when the marked question is answered.";
}

function Files({ session }: { session: Session }) {
  const { files } = session.render;
  const [pinned, setPinned] = useState<ProjectFile[]>();
  const [onlyMarked, setOnlyMarked] = useState(false);
  const [chosen, setChosen] = useState<ProjectFile>();
  const entries = useMemo(() => (pinned ? compare(pinned, files) : entriesOf(files)), [pinned, files]);
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
          <Tree entries={shown} selected={entry?.path ?? ""} onSelect={({ file }) => setChosen(file)} />
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
