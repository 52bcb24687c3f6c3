/** Messages between the page and the worker. `starter/engine.py` makes these objects. */

/** An answer for `copier copy --data`; lists and mappings have texts only. */
export type Answer = string | boolean | string[] | Record<string, string>;

/** The answers that the visitor gave, by the name of the question. */
export type Answers = Record<string, Answer>;

export interface Choice {
  label: string;
  value: string | boolean;
  /** Why it can't be chosen now; empty if it can. */
  disabled: string;
  /** The lines of code that it adds, if it is a part of the kit. */
  lines: number;
}

export interface Question {
  name: string;
  /** The field; `starter/engine.py` knows which types of copier.yml have which. */
  widget: "text" | "choice" | "several" | "switch" | "mapping";
  help: string;
  /** Whether the answers before it let Copier ask it. */
  asked: boolean;
  /** The visitor's answer or the default; null if there is none and Copier needs one. */
  answer: Answer | null;
  touched: boolean;
  /** One line that begins with what to do; empty if the answer is accepted. */
  error: string;
  /** Of the widget "mapping": the names of the rows that are refused. */
  bad_rows: string[];
  placeholder: string;
  choices: Choice[];
}

export interface ProjectFile {
  path: string;
  /** Its file of the template: equal for the same file of two renders. */
  source: string;
  text: string;
  executable: boolean;
}

export interface Render {
  questions: Question[];
  /** Sorted by path. */
  files: ProjectFile[];
  message: string;
  destination: string;
}

/** The default project, which the build writes. */
export interface Site {
  /** What `copier copy` takes: an address, and the version that was built. */
  address: string;
  reference: string;
  /** For people, such as "2.3.0"; and that of Copier. */
  version: string;
  copier: string;
  render: Render;
}

export type Request = { id: number; kind: "render" | "zip"; answers: Answers };

export type Response =
  | { kind: "ready" }
  | { kind: "failed"; reason: string }
  | { kind: "render"; id: number; render: Render; milliseconds: number }
  | { kind: "zip"; id: number; name: string; bytes: Uint8Array<ArrayBuffer> }
  | { kind: "error"; id: number; reason: string };
