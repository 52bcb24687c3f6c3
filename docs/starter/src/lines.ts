/** Lines of a file in colours, and of two files beside each other. */

import { diffArrays } from "diff";
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import ini from "highlight.js/lib/languages/ini";
import markdown from "highlight.js/lib/languages/markdown";
import python from "highlight.js/lib/languages/python";
import yaml from "highlight.js/lib/languages/yaml";

hljs.registerLanguage("bash", bash);
hljs.registerLanguage("ini", ini);
hljs.registerLanguage("markdown", markdown);
hljs.registerLanguage("python", python);
hljs.registerLanguage("yaml", yaml);

const LANGUAGES: [RegExp, string][] = [
  [/\.(py|pyi|mako)$/, "python"],
  [/\.(ini|toml|cfg)$/, "ini"],
  [/\.(yml|yaml)$/, "yaml"],
  [/\.md$/, "markdown"],
  [/\.sh$|(^|\/)\.env/, "bash"],
];

/** A text of one colour. */
export interface Token {
  text: string;
  className: string;
}

export type Line = Token[];

/** Splits a text into lines; no line follows the last line break. */
export function linesOf(text: string): string[] {
  const lines = text.split("\n");
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

/**
 * Colours a text.
 *
 * What highlight.js returns is markup, with the visitor's texts in it. It is read in a document
 * without scripts, and only texts and class names are taken out of it.
 */
export function highlight(path: string, text: string): Line[] {
  const language = LANGUAGES.find(([pattern]) => pattern.test(path))?.[1];
  if (!language) {
    return linesOf(text).map((line) => [{ text: line, className: "" }]);
  }
  const markup = hljs.highlight(text, { language }).value;
  const lines: Line[] = [[]];
  addTokens(
    new DOMParser().parseFromString(`<pre>\n${markup}`, "text/html").body.firstChild!,
    "",
    lines,
  );
  return lines.slice(0, linesOf(text).length);
}

function addTokens(node: Node, className: string, lines: Line[]): void {
  if (node instanceof Element) {
    const own = node.tagName === "SPAN" ? `${className} ${node.className}`.trim() : className;
    for (const child of node.childNodes) {
      addTokens(child, own, lines);
    }
    return;
  }
  const [first = "", ...others] = (node.textContent ?? "").split("\n");
  lines.at(-1)!.push({ text: first, className });
  lines.push(...others.map((text) => [{ text, className }]));
}

export interface Change {
  sign: " " | "+" | "-";
  /** Counted from 0; absent on the side that does not have the line. */
  old?: number;
  now?: number;
}

/** A run of lines; `folded` ones are far from every change. */
export interface Stretch {
  folded: boolean;
  changes: Change[];
}

const CONTEXT = 3;

/** Compares two texts by lines. */
export function stretchesOf(before: string, after: string): Stretch[] {
  const parts = diffArrays(linesOf(before), linesOf(after));
  let old = 0;
  let now = 0;
  return parts.flatMap((part, index) => {
    const changes = part.value.map((): Change => {
      if (part.added) {
        return { sign: "+", now: now++ };
      }
      return part.removed ? { sign: "-", old: old++ } : { sign: " ", old: old++, now: now++ };
    });
    if (part.added || part.removed) {
      return [{ folded: false, changes }];
    }
    return folds(changes, index === 0 ? 0 : CONTEXT, index === parts.length - 1 ? 0 : CONTEXT);
  });
}

function folds(changes: Change[], head: number, tail: number): Stretch[] {
  const end = changes.length - tail;
  // A button is no shorter than the few lines that it would hide.
  if (end - head <= CONTEXT) {
    return [{ folded: false, changes }];
  }
  return [
    { folded: false, changes: changes.slice(0, head) },
    { folded: true, changes: changes.slice(head, end) },
    { folded: false, changes: changes.slice(end) },
  ];
}
