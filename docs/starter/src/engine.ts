/** The page's side of the worker. */

import type { Answers, Render, Request, Response } from "./protocol.ts";

export type Status =
  | { state: "starting"; step: string }
  | { state: "ready" }
  | { state: "failed"; reason: string };

export interface Engine {
  render(answers: Answers): Promise<{ render: Render; milliseconds: number }>;
  zip(answers: Answers): Promise<{ name: string; bytes: Uint8Array<ArrayBuffer> }>;
}

type Answered<Kind extends Response["kind"]> = Extract<Response, { kind: Kind }>;
type Waiting = { resolve: (response: never) => void; reject: (error: Error) => void };

/** Milliseconds until a worker says something; how long it loads is a matter of the line. */
const PATIENCE = 60_000;

/** Start Copier in a worker; what it says of itself goes to `tell`. */
export function startEngine(tell: (status: Status) => void): Engine {
  const worker = new Worker(new URL("worker.js", document.baseURI), { type: "module" });
  const waiting = new Map<number, Waiting>();
  let last = 0;
  let failure: Error | undefined;

  const fail = (reason: string): void => {
    failure = new Error(reason);
    clearTimeout(timeout);
    worker.terminate();
    for (const { reject } of waiting.values()) reject(failure);
    waiting.clear();
    tell({ state: "failed", reason });
  };
  const timeout = setTimeout(() => fail("it says nothing"), PATIENCE);

  worker.onerror = (event) => fail(event.message || "the browser does not run it");
  worker.onmessage = ({ data: response }: MessageEvent<Response>): void => {
    clearTimeout(timeout);
    switch (response.kind) {
      case "progress":
        tell({ state: "starting", step: response.step });
        break;
      case "ready":
        tell({ state: "ready" });
        break;
      case "failed":
        fail(response.reason);
        break;
      default: {
        const asked = waiting.get(response.id);
        waiting.delete(response.id);
        if (response.kind === "error") asked?.reject(new Error(response.reason));
        else asked?.resolve(response as never);
      }
    }
  };

  const ask = <Kind extends Request["kind"]>(
    kind: Kind,
    answers: Answers,
  ): Promise<Answered<Kind>> =>
    new Promise((resolve, reject) => {
      if (failure) return reject(failure);
      const id = ++last;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, kind, answers } satisfies Request);
    });

  return { render: (answers) => ask("render", answers), zip: (answers) => ask("zip", answers) };
}
