/** Lines of a file in colours. */

import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import ini from "highlight.js/lib/languages/ini";
import markdown from "highlight.js/lib/languages/markdown";
import plaintext from "highlight.js/lib/languages/plaintext";
import python from "highlight.js/lib/languages/python";
import yaml from "highlight.js/lib/languages/yaml";

const LANGUAGES = { bash, ini, markdown, plaintext, python, yaml };

for (const [name, language] of Object.entries(LANGUAGES)) {
  hljs.registerLanguage(name, language);
}

const NAMES: [RegExp, keyof typeof LANGUAGES][] = [
  [/\.(py|pyi|mako)$/, "python"],
  [/\.(ini|toml|cfg)$/, "ini"],
  [/\.(yml|yaml)$/, "yaml"],
  [/\.md$/, "markdown"],
  [/\.sh$|(^|\/)\.env/, "bash"],
];

/** Return the markup of each line; highlight.js escapes the text. */
export function highlight(path: string, text: string): string[] {
  const language = NAMES.find(([pattern]) => pattern.test(path))?.[1] ?? "plaintext";
  const open: string[] = [];
  const lines = hljs.highlight(text, { language }).value.split("\n");
  // A colour that continues on the next line is closed and opened again.
  const whole = lines.map((line) => {
    const before = open.join("");
    for (const [tag] of line.matchAll(/<span [^>]*>|<\/span>/g)) {
      tag === "</span>" ? open.pop() : open.push(tag);
    }
    return `${before}${line}${"</span>".repeat(open.length)}`;
  });
  return text.endsWith("\n") || text === "" ? whole.slice(0, -1) : whole;
}
