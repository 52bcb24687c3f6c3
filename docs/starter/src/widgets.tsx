import { type Field, Prose } from "./question.tsx";

export function Text({ question, value, invalid, id, describedBy, onAnswer }: Field) {
  return (
    <input
      id={id}
      type="text"
      value={value === null ? "" : String(value)}
      placeholder={question.placeholder}
      aria-invalid={invalid}
      aria-describedby={describedBy}
      onInput={(event) => onAnswer(event.currentTarget.value)}
    />
  );
}

const YES_OR_NO = [
  { label: "Yes", value: true, disabled: "", lines: 0 },
  { label: "No", value: false, disabled: "", lines: 0 },
];

export function Switch(field: Field) {
  return <Choices {...field} question={{ ...field.question, choices: YES_OR_NO }} />;
}

/** More choices than this are a list, one below the other. */
const IN_A_LINE = 4;

type Extra = "error" | "invalid" | "describedBy" | "onFault";

/** One of several answers, or any of them; each shows the lines of code that it adds. */
export function Choices(field: Omit<Field, Extra> & Partial<Field>) {
  const { question, value, invalid, id, labelledBy, describedBy, onAnswer } = field;
  const { choices, widget } = question;
  const several = widget === "several";
  const chosen = Array.isArray(value) ? value : [value];
  const choose = (one: string | boolean, on: boolean) =>
    onAnswer(
      several
        ? choices
            .map((choice) => String(choice.value))
            .filter((text) => (text === one ? on : chosen.includes(text)))
        : one,
    );
  return (
    <div
      role={several ? "group" : "radiogroup"}
      class={several || choices.length > IN_A_LINE ? "list" : "in-a-line"}
      aria-labelledby={labelledBy}
      aria-describedby={describedBy}
    >
      {choices.map(({ label, value, disabled, lines }) => (
        <label key={String(value)} class="choice">
          <input
            type={several ? "checkbox" : "radio"}
            name={id}
            value={String(value)}
            checked={chosen.includes(value as never)}
            disabled={disabled !== ""}
            aria-invalid={several ? invalid : undefined}
            onChange={({ currentTarget }) => choose(value, currentTarget.checked)}
          />
          <span>
            {label}
            {disabled ? (
              <small>
                <Prose text={disabled} />
              </small>
            ) : (
              lines > 0 && <small>{lines.toLocaleString("en")} lines</small>
            )}
          </span>
        </label>
      ))}
    </div>
  );
}
