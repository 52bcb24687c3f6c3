/** What the visitor answered and what the engine made of it, and what changes that. */

import { unfit } from "./command.ts";
import { readLink } from "./link.ts";
import type { Answer, Answers, Question, Render } from "./protocol.ts";

export interface State {
  /** What the visitor touched. */
  answers: Answers;
  /** What only the page can see: a form that is no mapping yet. */
  faults: Record<string, string>;
  typing: boolean;
  render: Render;
  /** The answers that `render` was made of. */
  rendered: Answers;
  milliseconds: number;
  /** Why the engine could not render the newest answers. */
  refusal: string;
  /** Which answers were left out, and why. */
  complaint: string;
}

export type Action =
  | { kind: "answer"; name: string; answer: Answer; typing: boolean }
  | { kind: "fault"; name: string; fault: string }
  | { kind: "forget"; name: string }
  | { kind: "replace"; answers: Answers; complaint: string }
  | { kind: "rendered"; answers: Answers; render: Render; milliseconds: number }
  | { kind: "refused"; answers: Answers; reason: string };

/** What the page begins with: the defaults, and the answers of its link. */
export function begin(render: Render, fragment: string): State {
  const { answers, complaint } = readLink(fragment, render.questions);
  const untouched = Object.keys(answers).length === 0;
  return {
    answers,
    faults: {},
    typing: false,
    render,
    rendered: untouched ? answers : {},
    milliseconds: 0,
    refusal: "",
    complaint,
  };
}

/** Makes the next state. */
export function reduce(state: State, action: Action): State {
  switch (action.kind) {
    case "answer": {
      const answers = { ...state.answers, [action.name]: action.answer };
      const faults = without(state.faults, action.name);
      return {
        ...state,
        answers: inOrder(answers, state.render.questions),
        faults,
        typing: action.typing,
        complaint: "",
      };
    }
    case "fault":
      return { ...state, faults: { ...state.faults, [action.name]: action.fault } };
    case "forget":
      return {
        ...state,
        answers: without(state.answers, action.name),
        faults: without(state.faults, action.name),
        typing: false,
      };
    case "replace":
      return {
        ...state,
        answers: inOrder(action.answers, state.render.questions),
        faults: {},
        typing: false,
        complaint: action.complaint,
      };
    case "rendered":
      return action.answers === state.answers ? take(state, action) : state;
    case "refused":
      return action.answers === state.answers ? { ...state, refusal: action.reason } : state;
  }
}

/** Takes the render of the newest answers; Copier may have dropped some of them. */
function take(
  state: State,
  { render, milliseconds }: Extract<Action, { kind: "rendered" }>,
): State {
  const dropped = render.questions.filter(({ name, touched }) => name in state.answers && !touched);
  const answers = dropped.length ? without(state.answers, ...dropped.map(nameOf)) : state.answers;
  const lost = dropped.filter((question) => question.asked).map(nameOf);
  const complaint = lost.length
    ? `The answer is none of the choices, so the default is taken: ${lost.join(", ")}`
    : state.complaint;
  const hidden = render.questions.filter((question) => !question.asked).map(nameOf);
  const faults = without(state.faults, ...hidden);
  const rendered = answers;
  return { ...state, answers, faults, render, rendered, milliseconds, refusal: "", complaint };
}

/** Answers as Copier asks them, whatever was touched first. */
function inOrder(answers: Answers, questions: Question[]): Answers {
  const names = questions.map(nameOf).filter((name) => name in answers);
  return Object.fromEntries(names.map((name) => [name, answers[name]!]));
}

const nameOf = (question: Question) => question.name;

function without<T>(record: Record<string, T>, ...names: string[]): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));
}

/** Says what is wrong with the answers, by the names of their questions. */
export function errorsOf(
  { answers, faults, render }: State,
  engineIsGone: boolean,
): Record<string, string> {
  const errors = render.questions.map(({ name, asked, error }) => {
    const answer = answers[name];
    const own = faults[name] || (answer === undefined ? "" : unfit(answer));
    // An engine that is gone never says that the answer is right now.
    const said = asked && !engineIsGone ? error : "";
    return [name, own || said] as const;
  });
  return Object.fromEntries(errors.filter(([, error]) => error));
}
