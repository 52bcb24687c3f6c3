import { useState } from "preact/hooks";

interface Props {
  text: string;
  label: string;
  class?: string;
  disabled?: boolean;
  "aria-describedby"?: string;
}

/** A button that copies a text, and says so for a moment. */
export function CopyButton({ text, label, ...button }: Props) {
  const [said, setSaid] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      // A browser gives the clipboard to pages of https only.
      setSaid("Your browser refused");
    }
    setTimeout(() => setSaid(""), 2000);
  };
  return (
    <>
      <button type="button" {...button} onClick={copy}>
        {said || label}
      </button>
      <span role="status" class="unseen">
        {said && `${label}: ${said}`}
      </span>
    </>
  );
}
