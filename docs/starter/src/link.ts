/** Answers in the fragment of the page's address, and back. */

import { unfit } from "./command.ts";
import type { Answer, Answers, Question } from "./protocol.ts";

/** Return the answers as a fragment, without its `#`. */
export function linkOf(answers: Answers): string {
  const texts = Object.entries(answers).map(([name, answer]) => [
    name,
    typeof answer === "object" ? JSON.stringify(answer) : String(answer),
  ]);
  return new URLSearchParams(texts).toString();
}

/** Read a fragment, which anyone may have written. The complaint says what can't be read. */
export function readLink(fragment: string, questions: Question[]) {
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
    ? `The link has answers that can't be read, so they're left out: ${ignored.join(", ")}`
    : "";
  return { answers: Object.fromEntries(answers), complaint };
}

function answerOf(text: string, { widget, choices }: Question): Answer | undefined {
  if (widget === "switch" || choices.some((choice) => typeof choice.value === "boolean")) {
    return { true: true, false: false }[text];
  }
  if (widget === "text" || widget === "choice") {
    return text;
  }
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return undefined;
  }
  const right =
    answer !== null &&
    typeof answer === "object" &&
    Array.isArray(answer) === (widget === "several") &&
    Object.values(answer).every((value) => typeof value === "string");
  return right ? (answer as Answer) : undefined;
}
