import { useState } from "preact/hooks";
import type { Answer } from "./protocol.ts";
import type { Field } from "./question.tsx";

type Row = [name: string, text: string];

/** A mapping as rows, the last one empty. They can be what no mapping is: two rows with one name. */
export function Mapping(field: Field) {
  const { question, value, error, labelledBy, describedBy, onAnswer, onFault } = field;
  const [draft, setDraft] = useState<Row[]>([]);
  // An answer that was reset, or that came with a link, replaces the draft.
  const isOwnFault = error !== "" && error === faultOf(draft)?.text;
  const known = isOwnFault || isSame(draft, value) ? draft : rowsOf(value);
  const last = known.at(-1);
  const rows: Row[] = last && !isFilled(last) ? known : [...known, ["", ""]];
  const fault = faultOf(rows);
  const change = (now: Row[]) => {
    setDraft(now);
    const fault = faultOf(now);
    if (fault) {
      onFault(fault.text);
    } else if (isOwnFault || !isSame(now, value)) {
      onAnswer(Object.fromEntries(now.filter(isFilled)));
    }
  };
  const labels = pairOf(question.help, /\{\s*([^:{}]+):\s+([^,{}]+)/) ?? ["name", "value"];
  const examples = pairOf(question.placeholder, /\{\s*([^:{}]+):\s+['"]?([^'",{}]+)/);
  return (
    <div
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
              placeholder={examples?.[column]}
              aria-label={`${labels[column]}, row ${index + 1}`}
              aria-invalid={fault ? fault.row === index : question.bad_rows.includes(row[0])}
              onInput={({ currentTarget }) =>
                change(rows.with(index, row.with(column, currentTarget.value) as Row))
              }
            />
          ))}
        </div>
      ))}
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

/** Return why rows are no mapping yet, and which row it is. */
function faultOf(rows: Row[]): { text: string; row: number } | undefined {
  const names = rows.map(([name]) => name);
  const twice = names.findIndex((name, index) => name && names.indexOf(name) < index);
  if (twice >= 0) {
    return { text: `use another name: two rows are called ${names[twice]}`, row: twice };
  }
  const row = rows.findIndex(([name, text]) => !name && text);
  return row < 0 ? undefined : { text: `add a name for ${rows[row]![1]}`, row };
}

/** Read "{name: URL, ...}" of a help, or "{analytics: 'sqlite://'}" of a placeholder. */
function pairOf(text: string, pattern: RegExp): [string, string] | undefined {
  const [, key = "", value = ""] = pattern.exec(text) ?? [];
  return key ? [key.trim(), value.trim()] : undefined;
}
