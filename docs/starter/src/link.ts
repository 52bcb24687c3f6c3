/** Answers in the fragment of the page's address, and back. */

import { unfit } from "./command.ts";
import type { Answer, Answers, Question } from "./protocol.ts";

/** Writes the answers as a fragment, without its `#`. */
export function linkOf(answers: Answers): string {
  const texts = Object.entries(answers).map(([name, answer]) => [
    name,
    typeof answer === "object" ? JSON.stringify(answer) : String(answer),
  ]);
  return new URLSearchParams(texts).toString();
}

export interface Link {
  answers: Answers;
  /** One line for the visitor; empty where everything could be read. */
  complaint: string;
}

/** Reads a fragment, which anyone may have written. */
export function readLink(fragment: string, questions: Question[]): Link {
  const answers: [string, Answer][] = [];
  const ignored: string[] = [];
  for (const [name, text] of new URLSearchParams(fragment.replace(/^#/, ""))) {
    const question = questions.find((one) => one.name === name);
    const answer = question && answerOf(text, question);
    if (answer === undefined || unfit(answer)) {
      ignored.push(name);
    } else {
      answers.push([name, answer]);
    }
  }
  const complaint = ignored.length
    ? `The link has answers that cannot be read, they are left out: ${ignored.join(", ")}`
    : "";
  return { answers: Object.fromEntries(answers), complaint };
}

function answerOf(text: string, { widget, choices }: Question): Answer | undefined {
  if (widget === "mapping") {
    return mappingOf(text);
  }
  if (widget === "several") {
    return listOf(text);
  }
  if (widget === "switch" || choices.some((choice) => typeof choice.value === "boolean")) {
    return { true: true, false: false }[text];
  }
  return text;
}

function mappingOf(text: string): Answer | undefined {
  const mapping = parsed(text);
  const right =
    mapping !== null &&
    typeof mapping === "object" &&
    !Array.isArray(mapping) &&
    hasTextsOnly(Object.values(mapping));
  return right ? (mapping as Record<string, string>) : undefined;
}

function listOf(text: string): Answer | undefined {
  const list = parsed(text);
  return Array.isArray(list) && hasTextsOnly(list) ? list : undefined;
}

function hasTextsOnly(values: unknown[]): values is string[] {
  return values.every((value) => typeof value === "string");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
