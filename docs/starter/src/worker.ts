/** Runs Copier beside the page: starts Python, then renders what it is asked. */

import { loadPyodide } from "pyodide";
import type { PyodideAPI } from "pyodide";
import type { Request, Response } from "./protocol.ts";

interface Browser {
  start(folder: string, address: string, commit: string, commitHash: string): void;
  render(answers: string): string;
  archive(answers: string): { toJs(): [string, Uint8Array<ArrayBuffer>]; destroy(): void };
}

const say = (response: Response, transfer: Transferable[] = []): void =>
  self.postMessage(response, { transfer });

/** Rejects when a file cannot be loaded; where it is one of Pyodide's, that would wait for ever. */
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
  say({ kind: "progress", step: "Loading Python, less than 10 MB" });
  // Where a policy forbids WebAssembly, Pyodide would wait for ever.
  await WebAssembly.compile(NOTHING);
  const failed = failedLoad();
  // All at once: the files come while Python starts.
  const loaded = Promise.all([
    loadPyodide({ indexURL: new URL("pyodide/", self.location.href).href }),
    bytes("copier.zip"),
    bytes("template.tar.gz"),
    bytes("source.json"),
  ]);
  const [python, copier, template, source] = await Promise.race([loaded, failed]);
  say({ kind: "progress", step: "Loading Copier" });
  const browser = load(python, copier, template);
  const { address, commit, commit_hash } = JSON.parse(new TextDecoder().decode(source));
  browser.start("/template", address, commit, commit_hash);
  return browser;
}

function load(python: PyodideAPI, copier: ArrayBuffer, template: ArrayBuffer): Browser {
  const packages = python.runPython("import site; site.getsitepackages()[0]");
  python.unpackArchive(copier, "zip", { extractDir: packages });
  // A tar file keeps the executable bits.
  python.unpackArchive(template, "gztar", { extractDir: "/template" });
  return python.pyimport("starter.browser");
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

/** The last line of a traceback is what a person can use. */
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
