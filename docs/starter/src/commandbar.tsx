import { useState } from "preact/hooks";
import { Button, copy } from "./button.tsx";
import { type Shell, command } from "./command.ts";
import type { Site } from "./protocol.ts";
import { type Session, addressOf } from "./session.ts";
import { without } from "./state.ts";

const SHELLS: Record<Shell, string> = { posix: "POSIX shell", powershell: "PowerShell" };

interface Props {
  site: Site;
  session: Session;
  /** Goes to the field of a question. */
  onQuestion: (name: string) => void;
}

/** The command, and the other ways to get the project. */
export function CommandBar({ site, session, onQuestion }: Props) {
  const [shell, setShell] = useState<Shell>(
    /win/i.test(navigator.platform) ? "powershell" : "posix",
  );
  const { errors, render, answers } = session;
  const names = Object.keys(errors);
  const { destination } = render;
  const text = command({ ...site, destination, answers: without(answers, names) }, shell);
  const refused = names.length > 0;
  return (
    <section class="command" aria-label="Command">
      <div class="line-up">
        <pre id="command" tabIndex={0} role="region" aria-label="Command line">
          <code>{text}</code>
        </pre>
        <select
          aria-label="Shell"
          value={shell}
          onChange={({ currentTarget }) => setShell(currentTarget.value as Shell)}
        >
          {Object.entries(SHELLS).map(([one, name]) => (
            <option key={one} value={one}>
              {name}
            </option>
          ))}
        </select>
      </div>
      <div class="actions">
        <Button
          class="primary"
          label="Copy command"
          act={() => copy(text)}
          disabled={refused}
          aria-describedby="reason"
        />
        <Button
          label="Download zip"
          act={() => saveZip(session)}
          disabled={refused || !session.fresh || session.status.state !== "ready"}
          aria-describedby="reason"
        />
        <Button
          label="Copy link"
          act={() => copy(new URL(addressOf(answers), location.href).href)}
        />
        <button type="button" title="Use the default of every question" onClick={session.reset}>
          Reset
        </button>
        <Reason session={session} onQuestion={onQuestion} />
      </div>
    </section>
  );
}

/** Save the project as a zip, which Copier makes here. */
async function saveZip(session: Session): Promise<string> {
  try {
    const zip = await session.zip();
    const link = document.createElement("a");
    link.download = zip.name;
    link.href = URL.createObjectURL(new Blob([zip.bytes], { type: "application/zip" }));
    link.click();
    // The download has begun, but it may still read.
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    return "Saved";
  } catch {
    return "The zip failed";
  }
}

/** Why there is no command or no zip. */
function Reason({ session, onQuestion }: Omit<Props, "site">) {
  const { status, dropped, errors } = session;
  const [first] = Object.keys(errors);
  return (
    <p id="reason" class="reason" aria-live="polite">
      {first ? (
        <>
          <button type="button" class="quiet" onClick={() => onQuestion(first)}>
            {first}
          </button>
          : {errors[first]}
        </>
      ) : (
        dropped || ZIP_WAITS[status.state]
      )}
    </p>
  );
}

const ZIP_WAITS = {
  starting: "The zip is ready once Copier has started.",
  ready: "",
  failed: "Copier couldn't start, so there's no zip. The command still works.",
};
