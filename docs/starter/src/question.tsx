import type { Field } from "./field.ts";
import { Mapping } from "./mapping.tsx";
import { Prose, splitHelp } from "./prose.tsx";
import type { Answer, Question as Asked } from "./protocol.ts";
import { Choices, Several, Switch, Text } from "./widgets.tsx";

interface Props {
  question: Asked;
  answer: Answer | undefined;
  error: string;
  onAnswer: (answer: Answer, typing: boolean) => void;
  onFault: (fault: string) => void;
  onForget: () => void;
}

export function Question({ question, answer, error, onAnswer, onFault, onForget }: Props) {
  const [label, hint] = splitHelp(question.help);
  const id = idOf(question.name);
  const isOneField = question.widget === "text" || question.widget === "switch";
  const Label = isOneField ? "label" : "span";
  const touched = answer !== undefined;
  const field: Field = {
    question,
    value: touched ? answer : question.answer,
    error,
    id: `${id}-field`,
    labelledBy: `${id}-label`,
    describedBy: `${id}-hint ${id}-error`,
    onAnswer,
    onFault,
  };
  const forget = () => {
    onForget();
    // The button vanishes; whoever pressed it goes on in the field.
    focusQuestion(question.name);
  };
  return (
    <div id={id} class={`question ${touched ? "touched" : ""}`}>
      <Label id={`${id}-label`} class="label" {...(isOneField && { for: field.id })}>
        <Prose text={label} />
      </Label>
      <Widget {...field} />
      <p id={`${id}-error`} class="error" aria-live="polite">
        {error}
      </p>
      <p id={`${id}-hint`} class="hint">
        <Prose text={hint} />
      </p>
      <div class="foot">
        <code>{question.name}</code>
        {touched && (
          <button
            type="button"
            class="quiet"
            aria-label={`Back to default: ${label}`}
            onClick={forget}
          >
            Back to default
          </button>
        )}
      </div>
    </div>
  );
}

const idOf = (name: string) => `question-${name}`;

/** Goes to where a question is answered. */
export function focusQuestion(name: string): void {
  const box = document.getElementById(idOf(name));
  const fields = ["input:checked:enabled", "input:enabled", "button.add"];
  const field = fields.map((field) => box?.querySelector<HTMLElement>(field)).find(Boolean);
  field?.focus();
}

function Widget(field: Field) {
  const { widget } = field.question;
  switch (widget) {
    case "text":
      return <Text {...field} />;
    case "choice":
      return <Choices {...field} />;
    case "several":
      return <Several {...field} />;
    case "switch":
      return <Switch {...field} />;
    case "mapping":
      return <Mapping {...field} />;
    default:
      throw new Error(`no widget is called ${widget satisfies never}`);
  }
}
