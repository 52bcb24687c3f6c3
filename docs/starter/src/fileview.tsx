import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { Entry } from "./compare.ts";
import { CopyButton } from "./copybutton.tsx";
import { type Change, type Line, highlight, stretchesOf } from "./lines.ts";

/** One file, or what changed in it. Another one begins at its top; a renamed one stays where it is. */
export function FileView({ entry }: { entry: Entry }) {
  const [whole, setWhole] = useState(false);
  const { path, mark, file, before } = entry;
  const differs = mark === "removed" || (before !== undefined && before.text !== file.text);
  const was = before && before.path !== path ? before.path : "";
  return (
    <section class="file-view" aria-label="File">
      <header>
        <h2>{path}</h2>
        {was && <span class="was">was: {was}</span>}
        {mark !== "same" && <span class={`badge ${mark}`}>{mark}</span>}
        {file.executable && <span class="badge">executable</span>}
        <span class="grow" />
        {differs && mark !== "removed" && (
          <button type="button" aria-pressed={whole} onClick={() => setWhole(!whole)}>
            Whole file
          </button>
        )}
        <CopyButton text={file.text} label="Copy file" />
      </header>
      {differs && (!whole || mark === "removed") ? (
        <Difference
          key={file.source}
          path={path}
          before={before?.text ?? ""}
          after={mark === "removed" ? "" : file.text}
        />
      ) : (
        <Whole key={file.source} path={path} text={file.text} />
      )}
    </section>
  );
}

function Whole({ path, text }: { path: string; text: string }) {
  const lines = useMemo(() => highlight(path, text), [path, text]);
  return (
    <Code label={path}>
      {text === "" && <em class="empty">An empty file</em>}
      {lines.map((line, index) => (
        <CodeLine key={index} line={line} number={index + 1} />
      ))}
    </Code>
  );
}

interface Texts {
  path: string;
  before: string;
  after: string;
}

function Difference({ path, before, after }: Texts) {
  const [unfolded, setUnfolded] = useState<ReadonlySet<number>>(new Set());
  const old = useMemo(() => highlight(path, before), [path, before]);
  const now = useMemo(() => highlight(path, after), [path, after]);
  const stretches = useMemo(() => stretchesOf(before, after), [before, after]);
  const lineOf = (change: Change) =>
    change.now === undefined ? old[change.old!]! : now[change.now]!;
  return (
    <Code label={`Changes of ${path}`}>
      {stretches.map(({ folded, changes }, index) =>
        folded && !unfolded.has(index) ? (
          <button
            key={`fold ${index}`}
            type="button"
            class="fold"
            onClick={({ currentTarget }) => {
              currentTarget.closest("pre")?.focus();
              setUnfolded(new Set([...unfolded, index]));
            }}
          >
            Show {changes.length} unchanged lines
          </button>
        ) : (
          changes.map((change) => (
            <CodeLine
              key={`${change.old} ${change.now}`}
              line={lineOf(change)}
              number={(change.now ?? change.old!) + 1}
              sign={change.sign}
            />
          ))
        ),
      )}
    </Code>
  );
}

function Code({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <pre class="code" tabIndex={0} role="region" aria-label={label}>
      <code>{children}</code>
    </pre>
  );
}

interface LineProps {
  line: Line;
  number: number;
  sign?: Change["sign"];
}

const TAGS = { " ": "span", "+": "ins", "-": "del" } as const;

/** A line of a file; its number and its sign are drawn by the style, so nobody copies them. */
function CodeLine({ line, number, sign = " " }: LineProps) {
  const Tag = TAGS[sign];
  return (
    <>
      <Tag class="line" data-number={number} data-sign={sign}>
        {line.map(({ text, className }, index) =>
          className ? (
            <span key={index} class={className}>
              {text}
            </span>
          ) : (
            text
          ),
        )}
      </Tag>
      {"\n"}
    </>
  );
}
