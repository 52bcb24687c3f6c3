import { Fragment, type JSX } from "preact";
import { Mapping } from "./mapping.tsx";
import type { Answer, Question as Asked } from "./protocol.ts";
import type { Session } from "./session.ts";
import { Choices, Switch, Text } from "./widgets.tsx";

/** What a widget is given. */
export interface Field {
  question: Asked;
  /** The visitor's answer or the default. */
  value: Answer | null;
  /** Empty if the answer is accepted. */
  error: string;
  /** Whether the answer is refused. A question that waits for an answer is not. */
  invalid: boolean;
  /** Ids of the field, its label, and its description. */
  id: string;
  labelledBy: string;
  describedBy: string;
  onAnswer: (answer: Answer) => void;
  onFault: (fault: string) => void;
}

/** A question with its field, its error, its explanation, and the way to the reference. */
export function Question({ question, session }: { question: Asked; session: Session }) {
  const { name } = question;
  const [label, hint] = splitHelp(question.help);
  const id = idOf(name);
  const isText = question.widget === "text";
  const Label = isText ? "label" : "span";
  const Widget = WIDGETS[question.widget];
  const answer = session.answers[name];
  const touched = answer !== undefined;
  const error = session.errors[name] ?? "";
  const waits = error !== "" && !touched && question.answer === null;
  const field: Field = {
    question,
    value: touched ? answer : question.answer,
    error,
    invalid: error !== "" && !waits,
    id: `${id}-field`,
    labelledBy: `${id}-label`,
    describedBy: `${id}-hint ${id}-error`,
    onAnswer: (answer) => session.answer(name, answer),
    onFault: (fault) => session.fault(name, fault),
  };
  const forget = () => {
    session.answer(name);
    // The button vanishes, so the focus moves to the field.
    focusQuestion(name);
  };
  return (
    <div id={id} class="question">
      <Label id={field.labelledBy} class="label" {...(isText && { for: field.id })}>
        <Prose text={label} />
      </Label>
      <Widget {...field} />
      <p id={`${id}-error`} class="error" aria-live="polite">
        {waits ? "" : error}
      </p>
      <p id={`${id}-hint`} class="hint">
        <Prose text={hint} />
      </p>
      <p class="foot">
        <a
          href={`../reference/questions.html#${name.replaceAll("_", "-")}`}
          aria-label={`${name} in the documentation`}
        >
          <code>{name}</code>
        </a>
        {waits && "Required"}
        {touched && (
          <button type="button" class="quiet" aria-label={`Use the default: ${label}`} onClick={forget}>
            Use the default
          </button>
        )}
      </p>
    </div>
  );
}

const idOf = (name: string) => `question-${name}`;

/** Go to the field of a question. */
export function focusQuestion(name: string): void {
  const box = document.getElementById(idOf(name));
  const options = box?.closest("details");
  if (options) {
    options.open = true;
  }
  const find = (field: string) => box?.querySelector<HTMLElement>(field);
  (find("input:checked:enabled") ?? find("input:enabled"))?.focus();
}

const WIDGETS: Record<Asked["widget"], (field: Field) => JSX.Element> = {
  text: Text,
  choice: Choices,
  several: Choices,
  switch: Switch,
  mapping: Mapping,
};

/** Prose with `code` between backticks. */
export function Prose({ text }: { text: string }) {
  return (
    <>
      {text
        .split("`")
        .map((part, index) =>
          index % 2 ? <code key={index}>{part}</code> : <Fragment key={index}>{part}</Fragment>,
        )}
    </>
  );
}

/** Split the help of a question into the question and its explanation. */
function splitHelp(help: string): [label: string, hint: string] {
  const text = help.replace(/\s+/g, " ").trim();
  const end = text.indexOf("? ");
  return end < 0 ? [text, ""] : [text.slice(0, end + 1), text.slice(end + 2)];
}
