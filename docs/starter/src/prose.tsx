import { Fragment } from "preact";

/** Prose with `code` between backticks. */
export function Prose({ text }: { text: string }) {
  return (
    <>
      {text
        .split("`")
        .map((part, index) =>
          index % 2 ? <code key={index}>{part}</code> : <Fragment key={index}>{part}</Fragment>,
        )}
    </>
  );
}

/** Splits the help of a question into the question itself and what is said about it. */
export function splitHelp(help: string): [label: string, hint: string] {
  const text = help.replace(/\s+/g, " ").trim();
  const end = text.indexOf("? ");
  return end < 0 ? [text, ""] : [text.slice(0, end + 1), text.slice(end + 2)];
}
