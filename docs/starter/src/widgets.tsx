import type { Field } from "./field.ts";
import { Prose } from "./prose.tsx";

export function Text({ question, value, error, id, describedBy, onAnswer }: Field) {
  return (
    <input
      id={id}
      type="text"
      value={value === null ? "" : String(value)}
      placeholder={question.placeholder}
      autocomplete="off"
      autocapitalize="off"
      spellcheck={false}
      aria-invalid={error !== ""}
      aria-describedby={describedBy}
      onInput={(event) => onAnswer(event.currentTarget.value, true)}
    />
  );
}

export function Switch({ value, error, id, describedBy, onAnswer }: Field) {
  return (
    <div class="switch">
      <input
        id={id}
        type="checkbox"
        checked={value === true}
        aria-invalid={error !== ""}
        aria-describedby={describedBy}
        onChange={(event) => onAnswer(event.currentTarget.checked, false)}
      />
      <span aria-hidden="true">{value === true ? "Yes" : "No"}</span>
    </div>
  );
}

/** Checkboxes, each with the lines of code that it adds. */
export function Several({ question, value, error, labelledBy, describedBy, onAnswer }: Field) {
  const chosen = Array.isArray(value) ? value : [];
  const toggle = (one: string, on: boolean) => {
    const texts = question.choices.map((choice) => String(choice.value));
    onAnswer(
      texts.filter((text) => (text === one ? on : chosen.includes(text))),
      false,
    );
  };
  return (
    <div role="group" class="list" aria-labelledby={labelledBy} aria-describedby={describedBy}>
      {question.choices.map((choice) => (
        <label key={String(choice.value)} class="choice">
          <input
            type="checkbox"
            value={String(choice.value)}
            checked={chosen.includes(String(choice.value))}
            disabled={choice.disabled !== ""}
            aria-invalid={error !== ""}
            onChange={({ currentTarget }) => toggle(currentTarget.value, currentTarget.checked)}
          />
          <span>
            {choice.label}
            {choice.disabled ? (
              <small>
                <Prose text={choice.disabled} />
              </small>
            ) : (
              choice.lines > 0 && <small>{choice.lines.toLocaleString("en")} lines</small>
            )}
          </span>
        </label>
      ))}
    </div>
  );
}

/** More options than this are a list, one below the other. */
const CHIPS = 4;

export function Choices({ question, value, error, id, labelledBy, describedBy, onAnswer }: Field) {
  const { choices } = question;
  return (
    <div
      role="radiogroup"
      class={choices.length <= CHIPS ? "chips" : "list"}
      aria-labelledby={labelledBy}
      aria-describedby={describedBy}
      aria-invalid={error !== ""}
    >
      {choices.map((choice) => (
        <label key={String(choice.value)} class="choice">
          <input
            type="radio"
            name={id}
            value={String(choice.value)}
            checked={choice.value === value}
            disabled={choice.disabled !== ""}
            onChange={() => onAnswer(choice.value, false)}
          />
          <span>
            {choice.label}
            {choice.disabled && (
              <small>
                <Prose text={choice.disabled} />
              </small>
            )}
          </span>
        </label>
      ))}
    </div>
  );
}
