/** The command that creates the project that the page shows. */

import type { Answer, Answers } from "./protocol.ts";

export type Shell = "posix" | "powershell";

export interface Copy {
  address: string;
  reference: string;
  destination: string;
  answers: Answers;
}

/** Words of YAML 1.1 that are no texts, and start with a letter. */
const NO_TEXT = /^(?:y|n|yes|no|on|off|true|false|null)$/i;

/** What every YAML parser reads as a text, even between braces. */
const PLAIN = /^[A-Za-z][\w+./@%-]*(?::[\w+./@%-]+)*$/;

/** Characters that neither a line of a shell nor a YAML scalar in single quotes can hold. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}]/u;

/**
 * Return why an answer must not be in a command, or an empty text.
 *
 * A link can bring an answer, and a terminal obeys control characters that are pasted into it.
 */
export function unfit(answer: Answer): string {
  const texts = typeof answer === "object" ? Object.entries(answer).flat() : [String(answer)];
  return texts.some((text) => UNPRINTABLE.test(text)) ? "remove the control character" : "";
}

function scalar(text: string): string {
  return PLAIN.test(text) && !NO_TEXT.test(text) ? text : `'${text.replaceAll("'", "''")}'`;
}

/** Return an answer for `--data`: Copier reads lists and mappings as YAML. */
export function dataOf(answer: Answer): string {
  if (typeof answer !== "object") {
    return String(answer);
  }
  if (Array.isArray(answer)) {
    return `[${answer.map(scalar).join(", ")}]`;
  }
  const items = Object.entries(answer).map(([name, text]) => `${scalar(name)}: ${scalar(text)}`);
  return `{${items.join(", ")}}`;
}

const quote: Record<Shell, (word: string) => string> = {
  posix: (word) => `'${word.replaceAll("'", `'\\''`)}'`,
  // PowerShell treats typographic quotes as quotes.
  powershell: (word) => `'${word.replaceAll(/['‘’‚‛]/g, "$&$&")}'`,
};

const CONTINUED: Record<Shell, string> = { posix: " \\\n  ", powershell: " `\n  " };

/** Characters that mean nothing to either shell. */
const BARE = /^[A-Za-z.][\w:./-]*$/;

/** Return the command for a shell, with one answer per line. */
export function command({ address, reference, destination, answers }: Copy, shell: Shell): string {
  const bare = (word: string) => (BARE.test(word) ? word : quote[shell](word));
  const data = Object.entries(answers).map(
    ([name, answer]) => `--data ${quote[shell](`${name}=${dataOf(answer)}`)}`,
  );
  const last = `--vcs-ref ${bare(reference)} ${bare(address)} ${bare(destination)}`;
  return ["uvx copier copy --defaults", ...data, last].join(CONTINUED[shell]);
}
