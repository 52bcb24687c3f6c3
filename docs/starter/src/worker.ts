/** Runs Copier next to the page: starts Python, then renders answers. */

import { loadPyodide } from "pyodide";
import type { Request, Response } from "./protocol.ts";

/** The names of the page's files and the origin of the template, from the build. */
declare const FILES: Record<"pyodide" | "copier" | "template", string>;
declare const ORIGIN: { address: string; commit: string; commit_hash: string };

interface Browser {
  start(folder: string, address: string, commit: string, commitHash: string): void;
  render(answers: string): string;
  archive(answers: string): { toJs(): [string, Uint8Array<ArrayBuffer>]; destroy(): void };
}

const say = (response: Response, transfer: Transferable[] = []): void =>
  self.postMessage(response, { transfer });

/** Reject when a file can't be loaded: if it is one of Pyodide's, that would wait forever. */
function failedLoad(): Promise<never> {
  const { fetch } = self;
  return new Promise((_, reject) => {
    self.fetch = async (...request) => {
      try {
        const response = await fetch(...request);
        if (!response.ok) throw new Error(`${response.url}: ${response.status}`);
        return response;
      } catch (error) {
        reject(error);
        throw error;
      }
    };
  });
}

async function bytes(name: string): Promise<ArrayBuffer> {
  const response = await fetch(new URL(name, self.location.href));
  return response.arrayBuffer();
}

/** The smallest module: its header. */
const NOTHING = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

async function start(): Promise<Browser> {
  // If a policy forbids WebAssembly, Pyodide would wait forever.
  await WebAssembly.compile(NOTHING);
  const failed = failedLoad();
  // The files come while Python starts.
  const loaded = Promise.all([
    loadPyodide({ indexURL: new URL(`${FILES.pyodide}/`, self.location.href).href }),
    bytes(FILES.copier),
    bytes(FILES.template),
  ]);
  const [python, copier, template] = await Promise.race([loaded, failed]);
  const packages = python.runPython("import site; site.getsitepackages()[0]");
  python.unpackArchive(copier, "zip", { extractDir: packages });
  // A tar file keeps the executable bits.
  python.unpackArchive(template, "gztar", { extractDir: "/template" });
  const browser = python.pyimport("starter.browser");
  browser.start("/template", ORIGIN.address, ORIGIN.commit, ORIGIN.commit_hash);
  return browser;
}

function answer(browser: Browser, request: Request): void {
  const { id, kind } = request;
  const answers = JSON.stringify(request.answers);
  if (kind === "render") {
    const before = performance.now();
    const render = JSON.parse(browser.render(answers));
    say({ kind, id, render, milliseconds: performance.now() - before });
  } else {
    const archive = browser.archive(answers);
    const [name, bytes] = archive.toJs();
    archive.destroy();
    say({ kind, id, name, bytes }, [bytes.buffer]);
  }
}

/** Return the last line of a traceback: the one for people. */
function reasonOf(error: unknown): string {
  return String(error instanceof Error ? error.message : error).trim().split("\n").at(-1) ?? "";
}

const started = start();
started.then(
  () => say({ kind: "ready" }),
  (error: unknown) => say({ kind: "failed", reason: reasonOf(error) }),
);

self.onmessage = async ({ data: request }: MessageEvent<Request>): Promise<void> => {
  const browser = await started;
  try {
    answer(browser, request);
  } catch (error) {
    say({ kind: "error", id: request.id, reason: reasonOf(error) });
  }
};
