/** What the visitor answered, and what the engine made of it. */

import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { unfit } from "./command.ts";
import { type Engine, type Status, startEngine } from "./engine.ts";
import { linkOf, readLink } from "./link.ts";
import { newestOnly } from "./newest.ts";
import type { Answer, Answers, Question, Render, Site } from "./protocol.ts";

/** A pause in typing, in milliseconds. */
const PAUSE = 150;

interface State {
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
  /** What could not be read in the link. */
  complaint: string;
}

type Action =
  | { kind: "answer"; name: string; answer: Answer; typing: boolean }
  | { kind: "fault"; name: string; fault: string }
  | { kind: "forget"; name: string }
  | { kind: "replace"; answers: Answers; complaint: string }
  | { kind: "rendered"; answers: Answers; render: Render; milliseconds: number }
  | { kind: "refused"; answers: Answers; reason: string };

export interface Session {
  answers: Answers;
  render: Render;
  status: Status;
  milliseconds: number;
  refusal: string;
  complaint: string;
  /** Whether `render` shows `answers`. */
  fresh: boolean;
  /** By the name of the question: one line that begins with what to do. */
  errors: Record<string, string>;
  answer: (name: string, answer: Answer, typing: boolean) => void;
  fault: (name: string, fault: string) => void;
  forget: (name: string) => void;
  reset: () => void;
  /** Makes the zip; nothing where an answer turns out to be refused. */
  zip: () => Promise<{ name: string; bytes: Uint8Array<ArrayBuffer> } | undefined>;
}

/** Keeps the answers, the engine and the page's address together. */
export function useSession(site: Site): Session {
  const [state, dispatch] = useReducer(reduce, site, begin);
  const [status, setStatus] = useState<Status>({ state: "starting", step: "" });
  const engine = useRef<Engine | null>(null);
  const ask = useRef(
    newestOnly(async (answers: Answers) => {
      try {
        const { render, milliseconds } = await engine.current!.render(answers);
        dispatch({ kind: "rendered", answers, render, milliseconds });
      } catch (error) {
        dispatch({ kind: "refused", answers, reason: messageOf(error) });
      }
    }),
  );

  useEffect(() => {
    engine.current = startEngine(setStatus);
  }, []);

  useEffect(() => {
    if (status.state !== "ready") {
      return;
    }
    const timer = setTimeout(() => ask.current(state.answers), state.typing ? PAUSE : 0);
    return () => clearTimeout(timer);
  }, [state.answers, status.state]);

  useEffect(() => {
    // Browsers refuse an address that changes with every letter.
    const timer = setTimeout(() => history.replaceState(null, "", addressOf(state.answers)), PAUSE);
    return () => clearTimeout(timer);
  }, [state.answers]);

  useEffect(() => {
    const follow = () =>
      dispatch({ kind: "replace", ...readLink(location.hash, site.render.questions) });
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, [site]);

  const { answers, render, milliseconds, refusal, complaint } = state;
  return {
    answers,
    render,
    status,
    milliseconds,
    refusal,
    complaint,
    fresh: state.rendered === answers,
    errors: errorsOf(state, status),
    answer: (name, answer, typing) => dispatch({ kind: "answer", name, answer, typing }),
    fault: (name, fault) => dispatch({ kind: "fault", name, fault }),
    forget: (name) => dispatch({ kind: "forget", name }),
    reset: () => {
      // The browser's "back" brings the answers again.
      history.replaceState(null, "", addressOf(answers));
      history.pushState(null, "", addressOf({}));
      dispatch({ kind: "replace", answers: {}, complaint: "" });
    },
    zip: async () => {
      // The answers may be younger than the render that said that they are right.
      const { render, milliseconds } = await engine.current!.render(answers);
      dispatch({ kind: "rendered", answers, render, milliseconds });
      return render.questions.some((question) => question.error)
        ? undefined
        : engine.current!.zip(answers);
    },
  };
}

function begin({ render }: Site): State {
  const { answers, complaint } = readLink(location.hash, render.questions);
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

function reduce(state: State, action: Action): State {
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
    case "rendered": {
      if (action.answers !== state.answers) {
        return state;
      }
      // Copier dropped what it does not ask any more, or what is no choice any more.
      const { render, milliseconds } = action;
      const dropped = render.questions.filter((question) => !question.touched).map(nameOf);
      const stale = dropped.some((name) => name in state.answers);
      const answers = stale ? without(state.answers, ...dropped) : state.answers;
      const hidden = render.questions.filter((question) => !question.asked).map(nameOf);
      const faults = without(state.faults, ...hidden);
      return { ...state, answers, faults, render, rendered: answers, milliseconds, refusal: "" };
    }
    case "refused":
      return action.answers === state.answers ? { ...state, refusal: action.reason } : state;
  }
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

function errorsOf({ answers, faults, render }: State, status: Status): Record<string, string> {
  const errors = render.questions.map(({ name, asked, error }) => {
    const answer = answers[name];
    const own = faults[name] || (answer === undefined ? "" : unfit(answer));
    // An engine that is gone never says that the answer is right now.
    const said = asked && status.state !== "failed" ? error : "";
    return [name, own || said] as const;
  });
  return Object.fromEntries(errors.filter(([, error]) => error));
}

/** The page's address with the answers in it. */
export function addressOf(answers: Answers): string {
  const link = linkOf(answers);
  return `${location.pathname}${location.search}${link ? `#${link}` : ""}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
