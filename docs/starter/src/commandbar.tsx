import { useEffect, useState } from "preact/hooks";
import { type Shell, command } from "./command.ts";
import { CopyButton } from "./copybutton.tsx";
import type { Answers, Site } from "./protocol.ts";
import { type Session, addressOf } from "./session.ts";
import { recall, remember } from "./storage.ts";
import { Zip } from "./zip.tsx";

const SHELLS: Record<Shell, string> = { posix: "POSIX shell", powershell: "PowerShell" };
const KEY = "shell";

interface Props {
  site: Site;
  session: Session;
  /** Goes to where a question is answered. */
  onQuestion: (name: string) => void;
}

/** The command, and what else takes the project away from the page. */
export function CommandBar({ site, session, onQuestion }: Props) {
  const [shell, setShell] = useState(rememberedShell);
  const { errors, render, answers } = session;
  const names = Object.keys(errors);
  const text = command(
    {
      address: site.address,
      reference: site.reference,
      destination: render.destination,
      answers: without(answers, names),
    },
    shell,
  );
  const refused = names.length > 0;
  return (
    <section class="command" aria-label="Command">
      <div class="line-up">
        <pre id="command" tabIndex={0} role="region" aria-label="Command line">
          <code>{text}</code>
        </pre>
        <fieldset class="shells">
          <legend class="unseen">Shell</legend>
          {(Object.keys(SHELLS) as Shell[]).map((one) => (
            <label key={one}>
              <input
                type="radio"
                name="shell"
                checked={one === shell}
                onChange={() => {
                  setShell(one);
                  remember(KEY, one);
                }}
              />
              <span>{SHELLS[one]}</span>
            </label>
          ))}
        </fieldset>
      </div>
      <div class="actions">
        <CopyCommand text={text} disabled={refused} />
        <Zip session={session} disabled={refused} />
        <CopyButton text={new URL(addressOf(answers), location.href).href} label="Copy link" />
        <button type="button" title="Back to all defaults" onClick={session.reset}>
          Reset
        </button>
        <Reason names={names} session={session} onQuestion={onQuestion} />
      </div>
    </section>
  );
}

function CopyCommand({ text, disabled }: { text: string; disabled: boolean }) {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        document.querySelector<HTMLButtonElement>("#copy-command")?.click();
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  return (
    <CopyButton
      id="copy-command"
      class="primary"
      text={text}
      label="Copy command"
      title="Ctrl+Enter, or Cmd+Enter"
      shortcut="Control+Enter Meta+Enter"
      describedBy="reason"
      disabled={disabled}
    />
  );
}

interface ReasonProps {
  /** The questions whose answers are refused. */
  names: string[];
  session: Session;
  onQuestion: (name: string) => void;
}

/** Why there is no command or no zip. */
function Reason({ names, session, onQuestion }: ReasonProps) {
  const { status, complaint } = session;
  const [first] = names;
  return (
    <p id="reason" class="reason" aria-live="polite">
      {first ? (
        <>
          Answer{" "}
          <button type="button" class="text" onClick={() => onQuestion(first)}>
            {first}
          </button>{" "}
          first: {session.errors[first]}
        </>
      ) : (
        complaint || ZIP_WAITS[status.state]
      )}
    </p>
  );
}

const ZIP_WAITS = {
  starting: "The zip comes when Copier has started.",
  ready: "",
  failed: "There is no zip without Copier; the command works.",
};

function without(answers: Answers, names: string[]): Answers {
  return Object.fromEntries(Object.entries(answers).filter(([name]) => !names.includes(name)));
}

function rememberedShell(): Shell {
  const stored = recall(KEY);
  if (stored === "posix" || stored === "powershell") {
    return stored;
  }
  return /win/i.test(navigator.platform) ? "powershell" : "posix";
}
