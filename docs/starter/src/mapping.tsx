import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Field } from "./field.ts";
import type { Answer } from "./protocol.ts";

type Row = [name: string, text: string];

/** A mapping as rows. They can be what no mapping is: two rows of one name. */
export function Mapping({
  question,
  value,
  error,
  labelledBy,
  describedBy,
  onAnswer,
  onFault,
}: Field) {
  const [draft, setDraft] = useState<Row[]>([]);
  const box = useRef<HTMLDivElement>(null);
  // What was reset, or came with a link, replaces the draft.
  const isOwnFault = error !== "" && error === faultOf(draft);
  const rows = isOwnFault || isSame(draft, value) ? draft : rowsOf(value);
  const change = (now: Row[]) => {
    setDraft(now);
    const fault = faultOf(now);
    if (fault) {
      onFault(fault);
    } else if (!isSame(now, value) || isOwnFault) {
      onAnswer(Object.fromEntries(now.filter(isFilled)), true);
    }
  };
  const put = (index: number, row: Row) => change(rows.with(index, row));
  const added = useRef(false);
  const add = () => {
    change([...rows, ["", ""]]);
    added.current = true;
  };
  useLayoutEffect(() => {
    if (added.current) {
      box.current?.querySelector<HTMLElement>(".row:last-of-type input")?.focus();
      added.current = false;
    }
  });
  const remove = (index: number) => {
    change(rows.toSpliced(index, 1));
    box.current?.querySelector<HTMLElement>(".add")?.focus();
  };
  const [key, text] = columnsOf(question.help);
  const [keyExample, textExample] = exampleOf(question.placeholder);
  return (
    <div
      ref={box}
      role="group"
      class="mapping"
      aria-labelledby={labelledBy}
      aria-describedby={describedBy}
    >
      {rows.map((row, index) => (
        <div class="row" key={index}>
          {row.map((part, column) => (
            <input
              key={column}
              type="text"
              value={part}
              placeholder={column ? textExample : keyExample}
              aria-label={`${column ? text : key}, row ${index + 1}`}
              aria-invalid={error !== ""}
              autocomplete="off"
              autocapitalize="off"
              spellcheck={false}
              onInput={({ currentTarget }) =>
                put(index, column ? [row[0], currentTarget.value] : [currentTarget.value, row[1]])
              }
            />
          ))}
          <button
            type="button"
            class="quiet"
            aria-label={`Remove row ${index + 1}`}
            onClick={() => remove(index)}
          >
            ×
          </button>
        </div>
      ))}
      <button type="button" class="add" onClick={add}>
        Add {key} and {text}
      </button>
    </div>
  );
}

function rowsOf(value: Answer | null): Row[] {
  const isMapping = value !== null && typeof value === "object" && !Array.isArray(value);
  return isMapping ? Object.entries(value) : [];
}

function isFilled([name, text]: Row): boolean {
  return name !== "" || text !== "";
}

function isSame(rows: Row[], value: Answer | null): boolean {
  const sorted = (some: Row[]) => JSON.stringify(some.filter(isFilled).sort());
  return sorted(rows) === sorted(rowsOf(value));
}

function faultOf(rows: Row[]): string {
  const names = rows.filter(isFilled).map(([name]) => name);
  const twice = names.find((name, index) => name && names.indexOf(name) < index);
  if (twice) {
    return `give each row a name of its own: two are called ${twice}`;
  }
  const nameless = rows.find(([name, text]) => !name && text);
  return nameless ? `give a name to ${nameless[1]}` : "";
}

/** Reads from "{name: URL, ...}" in the help what the two columns are. */
function columnsOf(help: string): [string, string] {
  const [, key = "name", text = "value"] = /\{\s*([^:{}]+):\s+([^,{}]+)/.exec(help) ?? [];
  return [key.trim(), text.trim()];
}

/** Reads from "{analytics: 'sqlite://'}" what a row could hold. */
function exampleOf(placeholder: string): [string, string] {
  const [, key = "", text = ""] = /\{\s*([^:{}]+):\s+['"]?([^'",{}]+)/.exec(placeholder) ?? [];
  return [key.trim(), text.trim()];
}
