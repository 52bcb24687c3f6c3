/** The page's side of the worker. */

import type { Answers, Request, Response } from "./protocol.ts";

export type Status =
  | { state: "starting" | "ready" }
  | { state: "failed"; reason: string };

type Answered<Kind extends Response["kind"]> = Extract<Response, { kind: Kind }>;

export interface Engine {
  render(answers: Answers): Promise<Answered<"render">>;
  zip(answers: Answers): Promise<Answered<"zip">>;
}

type Waiting = { resolve: (response: never) => void; reject: (error: Error) => void };

/** The names of the page's files, from the build. */
declare const FILES: Record<"worker", string>;

/** Start Copier in a worker, and report its status to `tell`. */
export function startEngine(tell: (status: Status) => void): Engine {
  const worker = new Worker(new URL(FILES.worker, document.baseURI), { type: "module" });
  const waiting = new Map<number, Waiting>();
  let last = 0;

  const fail = (reason: string): void => {
    worker.terminate();
    waiting.forEach(({ reject }) => reject(new Error(reason)));
    tell({ state: "failed", reason });
  };
  worker.onerror = (event) => fail(event.message || "this browser can't run it");
  worker.onmessage = ({ data: response }: MessageEvent<Response>): void => {
    if (response.kind === "ready") {
      tell({ state: "ready" });
    } else if (response.kind === "failed") {
      fail(response.reason);
    } else {
      const asked = waiting.get(response.id)!;
      waiting.delete(response.id);
      if (response.kind === "error") asked.reject(new Error(response.reason));
      else asked.resolve(response as never);
    }
  };

  const ask = <Kind extends Request["kind"]>(kind: Kind, answers: Answers) =>
    new Promise<Answered<Kind>>((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, kind, answers } satisfies Request);
    });
  return { render: (answers) => ask("render", answers), zip: (answers) => ask("zip", answers) };
}
