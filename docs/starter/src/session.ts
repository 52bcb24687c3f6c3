/** Keeps the answers, the engine and the page's address together. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type Engine, type Status, startEngine } from "./engine.ts";
import { linkOf } from "./link.ts";
import type { Answer, Answers, Site } from "./protocol.ts";
import { type State, begin, errorsOf, withAnswer, withLink, withRender } from "./state.ts";

/** Browsers refuse an address that changes too often; in milliseconds. */
const PAUSE = 400;

export interface Session extends State {
  status: Status;
  /** Whether `render` shows `answers`. */
  fresh: boolean;
  /** By the name of the question: one line that begins with what to do. */
  errors: Record<string, string>;
  /** Change an answer; without one, the default counts. */
  answer: (name: string, answer?: Answer) => void;
  fault: (name: string, fault: string) => void;
  reset: () => void;
  zip: () => Promise<{ name: string; bytes: Uint8Array<ArrayBuffer> }>;
}

/** Run the page, which has one session. */
export function useSession(site: Site): Session {
  const [state, setState] = useState(() => begin(site.render, location.hash));
  const [status, setStatus] = useState<Status>({ state: "starting" });
  const engine = useRef<Engine | null>(null);
  const { answers } = state;

  const render = async (answers: Answers) => {
    const { render, milliseconds } = await engine.current!.render(answers);
    setState((state) => withRender(state, answers, render, milliseconds));
  };

  useEffect(() => {
    engine.current = startEngine(setStatus);
  }, []);

  // A slow engine would lag behind the letters of a word: only the newest answers are rendered.
  const newest = useRef(answers);
  const busy = useRef(false);
  useEffect(() => {
    newest.current = answers;
    const work = async () => {
      busy.current = true;
      for (let done; done !== newest.current; ) {
        done = newest.current;
        await render(done).catch(({ message }: Error) =>
          setState((state) => ({ ...state, refusal: message })),
        );
      }
      busy.current = false;
    };
    if (status.state === "ready" && !busy.current) {
      void work();
    }
  }, [answers, status.state]);

  useEffect(() => {
    const follow = () => history.replaceState(null, "", addressOf(answers));
    const timer = setTimeout(follow, PAUSE);
    return () => clearTimeout(timer);
  }, [answers]);

  useEffect(() => {
    const follow = () => setState((state) => withLink(state, location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);

  return {
    ...state,
    status,
    fresh: state.rendered === answers,
    errors: errorsOf(state, status.state === "failed"),
    answer: (name, answer) => setState((state) => withAnswer(state, name, answer)),
    fault: (name, fault) =>
      setState((state) => ({ ...state, faults: { ...state.faults, [name]: fault } })),
    reset: () => {
      // The browser's "back" brings the answers again.
      history.replaceState(null, "", addressOf(answers));
      history.pushState(null, "", addressOf({}));
      setState((state) => withLink(state, ""));
    },
    zip: () => engine.current!.zip(answers),
  };
}

/** Return the page's address with the answers in it. */
export function addressOf(answers: Answers): string {
  const link = linkOf(answers);
  return `${location.pathname}${location.search}${link ? `#${link}` : ""}`;
}
