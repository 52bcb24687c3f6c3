import { structuredPatch } from "diff";
import { useMemo, useState } from "preact/hooks";
import { Button, copy } from "./button.tsx";
import type { Entry } from "./compare.ts";
import { highlight } from "./lines.ts";

/** One file, or its changes. Another file starts at its top; a renamed one stays where it is. */
export function FileView({ entry }: { entry: Entry }) {
  const [whole, setWhole] = useState(false);
  const { path, mark, file } = entry;
  const before = entry.before?.text;
  const after = mark === "removed" ? "" : file.text;
  const differs = before !== undefined && before !== after;
  const changes = differs && (mark === "removed" || !whole);
  const markup = useMemo(
    () => (changes ? changesOf(path, before, after) : wholeOf(path, after)),
    [changes, path, before, after],
  );
  return (
    <section class="file-view" aria-label="File">
      <header>
        <h2>{path}</h2>
        {mark === "renamed" && <span class="was">was: {entry.before?.path}</span>}
        {mark !== "same" && <span class={`badge ${mark}`}>{mark}</span>}
        {file.executable && <span class="badge">executable</span>}
        <span class="grow" />
        {differs && mark !== "removed" && (
          <button type="button" aria-pressed={whole} onClick={() => setWhole(!whole)}>
            Whole file
          </button>
        )}
        <Button label="Copy file" act={() => copy(file.text)} />
      </header>
      <pre
        key={file.source}
        class="code"
        tabIndex={0}
        role="region"
        aria-label={changes ? `Changes of ${path}` : path}
      >
        <code dangerouslySetInnerHTML={{ __html: markup }} />
      </pre>
    </section>
  );
}

function wholeOf(path: string, text: string): string {
  return highlight(path, text)
    .map((line, index) => markupOf(line, index + 1, " "))
    .join("");
}

function changesOf(path: string, before: string, after: string): string {
  const old = highlight(path, before);
  const now = highlight(path, after);
  return structuredPatch("", "", before, after, "", "", { context: 3 })
    .hunks.flatMap(({ oldStart, newStart, lines }) => {
      let [left, right] = [oldStart, newStart];
      // A line with a backslash notes a missing line break at the end.
      const real = lines.filter((line) => !line.startsWith("\\"));
      return real.map((line) => {
        const sign = line[0]!;
        const number = sign === "-" ? left : right;
        left += sign === "+" ? 0 : 1;
        right += sign === "-" ? 0 : 1;
        return markupOf((sign === "-" ? old : now)[number - 1]!, number, sign);
      });
    })
    .join("");
}

/** Mark up a line; the style draws its number and its sign, so a copy leaves them out. */
function markupOf(line: string, number: number, sign: string): string {
  const tag = { "+": "ins", "-": "del" }[sign] ?? "span";
  return `<${tag} class="line" data-number="${number}" data-sign="${sign}">${line}</${tag}>\n`;
}
