/** The visitor's answers, the engine's render, and everything that changes them. */

import { unfit } from "./command.ts";
import { readLink } from "./link.ts";
import type { Answer, Answers, Question, Render } from "./protocol.ts";

export interface State {
  /** What the visitor touched, in Copier's order. */
  answers: Answers;
  /** What only the page can see: a form that is no mapping yet. */
  faults: Record<string, string>;
  render: Render;
  /** The answers that `render` was made of. */
  rendered: Answers;
  milliseconds: number;
  /** Why the engine could not render the newest answers. */
  refusal: string;
  /** Which answers of the link were left out; it stays until there is another link. */
  complaint: string;
  /** Which answers Copier dropped with the last change. */
  dropped: string;
}

/** Return the first state: the defaults, and the answers of the link. */
export function begin(render: Render, fragment: string): State {
  const nothing = { faults: {}, milliseconds: 0, refusal: "", complaint: "", dropped: "" };
  const state = withLink({ ...nothing, answers: {}, rendered: {}, render }, fragment);
  return Object.keys(state.answers).length ? state : { ...state, rendered: state.answers };
}

/** Return a state with another answer to a question, or with none. */
export function withAnswer(state: State, name: string, answer?: Answer): State {
  const others = without(state.answers, [name]);
  const answers = inOrder(answer === undefined ? others : { ...others, [name]: answer }, state);
  return { ...state, answers, faults: without(state.faults, [name]), dropped: "" };
}

/** Return a state with the answers of a link. */
export function withLink(state: State, fragment: string): State {
  const { answers, complaint } = readLink(fragment, state.render.questions);
  return { ...state, answers: inOrder(answers, state), faults: {}, complaint, dropped: "" };
}

/** Return a state with the render of its answers; Copier may have dropped some of them. */
export function withRender(
  state: State,
  of: Answers,
  render: Render,
  milliseconds: number,
): State {
  if (of !== state.answers) {
    return state;
  }
  const gone = render.questions.filter(({ name, touched }) => name in of && !touched);
  const answers = gone.length ? without(of, gone.map(nameOf)) : of;
  const lost = gone.filter((question) => question.asked).map(nameOf);
  const dropped = lost.length
    ? `No longer a choice, so the default is used: ${lost.join(", ")}`
    : state.dropped;
  const hidden = render.questions.filter((question) => !question.asked).map(nameOf);
  const faults = without(state.faults, hidden);
  const rendered = answers;
  return { ...state, answers, faults, render, rendered, milliseconds, refusal: "", dropped };
}

function inOrder(answers: Answers, { render }: State): Answers {
  const names = render.questions.map(nameOf).filter((name) => name in answers);
  return Object.fromEntries(names.map((name) => [name, answers[name]!]));
}

const nameOf = (question: Question) => question.name;

/** Return a record without some of its keys. */
export function without<T>(record: Record<string, T>, names: string[]): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));
}

/** Return what is wrong with the answers, by the names of their questions. */
export function errorsOf(
  { answers, faults, render }: State,
  engineIsGone: boolean,
): Record<string, string> {
  const errors = render.questions.map(({ name, asked, error }) => {
    const own = faults[name] || unfit(answers[name] ?? "");
    // Without the engine, nothing would say that the answer is right now.
    return [name, own || (asked && !engineIsGone ? error : "")] as const;
  });
  return Object.fromEntries(errors.filter(([, error]) => error));
}
