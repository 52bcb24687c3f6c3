/** What the page and the worker tell each other. `starter/engine.py` makes these objects. */

/** An answer as `copier copy --data` takes it; a list and a mapping have texts only. */
export type Answer = string | boolean | string[] | Record<string, string>;

/** The answers that the visitor touched, by the name of the question. */
export type Answers = Record<string, Answer>;

export interface Choice {
  label: string;
  value: string | boolean;
  /** Why it cannot be taken now; empty where it can. */
  disabled: string;
  /** How many lines of code it adds to the project, where it is a part of the kit. */
  lines: number;
}

export interface Question {
  name: string;
  /** How it is answered; `starter/engine.py` knows which types of copier.yml these are. */
  widget: "text" | "choice" | "several" | "switch" | "mapping";
  help: string;
  /** Whether the answers before it let Copier ask it. */
  asked: boolean;
  /** What the render used: the visitor's answer, or the default where that is refused. */
  answer: Answer | null;
  touched: boolean;
  /** One line that begins with what to do; empty where the answer is accepted. */
  error: string;
  placeholder: string;
  /** Of the widgets "choice" and "several" only. */
  choices: Choice[];
}

export interface ProjectFile {
  path: string;
  /** Which file of the template it is: equal for the same file of two renders. */
  source: string;
  text: string;
  executable: boolean;
}

export interface Render {
  questions: Question[];
  /** Sorted by path; empty while a required answer is missing. */
  files: ProjectFile[];
  /** What Copier says after the copy. */
  message: string;
  /** The folder that the command names. */
  destination: string;
  /** The layout as an SVG document. */
  picture: string;
}

/** What the build wrote down: `default.json`. */
export interface Site {
  /** What `copier copy` takes: an address, and the version that was built. */
  address: string;
  reference: string;
  /** For people, such as "2.3.0". */
  version: string;
  /** The version of Copier that runs in the page. */
  copier: string;
  render: Render;
}

export type Request =
  | { id: number; kind: "render"; answers: Answers }
  | { id: number; kind: "zip"; answers: Answers };

export type Response =
  /** The engine is on its way: what it does now. */
  | { kind: "progress"; step: string }
  | { kind: "ready" }
  /** The engine cannot start. */
  | { kind: "failed"; reason: string }
  | { kind: "render"; id: number; render: Render; milliseconds: number }
  | { kind: "zip"; id: number; name: string; bytes: Uint8Array<ArrayBuffer> }
  | { kind: "error"; id: number; reason: string };
