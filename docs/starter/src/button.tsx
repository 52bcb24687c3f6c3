import { useState } from "preact/hooks";

interface Props {
  label: string;
  /** Does it, and returns what to say for a moment. */
  act: () => Promise<string>;
  class?: string;
  disabled?: boolean;
  "aria-describedby"?: string;
}

/** A button that says for a moment what it did. */
export function Button({ label, act, ...button }: Props) {
  const [said, setSaid] = useState("");
  const click = async () => {
    setSaid(await act());
    setTimeout(() => setSaid(""), 2000);
  };
  return (
    <>
      <button type="button" {...button} onClick={click}>
        {said || label}
      </button>
      <span role="status" class="unseen">
        {said && `${label}: ${said}`}
      </span>
    </>
  );
}

/** Copy a text, and say so. */
export async function copy(text: string): Promise<string> {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  } catch {
    // A browser gives the clipboard to pages of https only.
    return "Your browser refused";
  }
}
