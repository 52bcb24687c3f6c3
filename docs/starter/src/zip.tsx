import { useState } from "preact/hooks";
import { say } from "./said.tsx";
import type { Session } from "./session.ts";

const FAILED = "No zip could be made";

/** Saves the project as a zip, which Copier makes here. */
export function Zip({ session, disabled }: { session: Session; disabled: boolean }) {
  const [said, setSaid] = useState("");
  const download = async () => {
    setSaid("");
    try {
      const zip = await session.zip();
      if (zip) {
        save(zip.name, zip.bytes);
        say(`${zip.name} is made`);
      }
    } catch {
      setSaid(FAILED);
      say(FAILED);
    }
  };
  return (
    <button
      type="button"
      aria-describedby="reason"
      disabled={disabled || session.status.state !== "ready"}
      onClick={download}
    >
      {said || "Download zip"}
    </button>
  );
}

function save(name: string, bytes: Uint8Array<ArrayBuffer>): void {
  const link = document.createElement("a");
  link.download = name;
  link.href = URL.createObjectURL(new Blob([bytes], { type: "application/zip" }));
  link.click();
  // The download has begun, but it may still read.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
