/** Keeps the answers, the engine and the page's address together. */

import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { type Engine, type Status, startEngine } from "./engine.ts";
import { linkOf, readLink } from "./link.ts";
import { newestOnly } from "./newest.ts";
import type { Answer, Answers, Render, Site } from "./protocol.ts";
import { begin, errorsOf, reduce } from "./state.ts";

/** A pause in typing, in milliseconds. */
const PAUSE = 150;

/** The same for the page's address: browsers refuse one that changes too often. */
const LONG_PAUSE = 400;

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

/** Runs the page: there is one session of it. */
export function useSession(site: Site): Session {
  const [state, dispatch] = useReducer(reduce, site.render, (render) =>
    begin(render, location.hash),
  );
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
    const follow = () => history.replaceState(null, "", addressOf(state.answers));
    const timer = setTimeout(follow, LONG_PAUSE);
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
    errors: errorsOf(state, status.state === "failed"),
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

/** The page's address with the answers in it. */
export function addressOf(answers: Answers): string {
  const link = linkOf(answers);
  return `${location.pathname}${location.search}${link ? `#${link}` : ""}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
