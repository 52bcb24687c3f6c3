import { useState } from "preact/hooks";
import { say } from "./said.tsx";

interface Props {
  text: string;
  label: string;
  id?: string;
  class?: string;
  disabled?: boolean;
  title?: string;
  shortcut?: string;
  describedBy?: string;
}

/** Copies a text, and says for a moment that it did. */
export function CopyButton({ text, label, shortcut, describedBy, ...button }: Props) {
  const [said, setSaid] = useState("");
  const copy = async () => {
    const outcome = await copied(text);
    setSaid(outcome);
    say(`${label}: ${outcome}`);
    setTimeout(() => setSaid(""), 2000);
  };
  return (
    <button
      type="button"
      {...button}
      aria-keyshortcuts={shortcut}
      aria-describedby={describedBy}
      onClick={copy}
    >
      {said || label}
    </button>
  );
}

async function copied(text: string): Promise<string> {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  } catch {
    // A browser gives the clipboard to pages of https only.
    return "The browser refuses";
  }
}
