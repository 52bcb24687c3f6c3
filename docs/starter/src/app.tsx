import { useEffect, useState } from "preact/hooks";
import { CommandBar } from "./commandbar.tsx";
import { Files } from "./files.tsx";
import { Form } from "./form.tsx";
import type { Site } from "./protocol.ts";
import { focusQuestion } from "./question.tsx";
import { type Session, useSession } from "./session.ts";
import { Tabs, type View } from "./tabs.tsx";

/** As in style.css: here the questions are a tab. */
const NARROW = "(max-width: 60rem)";

export function App({ site }: { site: Site }) {
  const session = useSession(site);
  const narrow = useMedia(NARROW);
  const [chosen, setView] = useState<View>("questions");
  const views: View[] = narrow ? ["questions", "files", "next"] : ["files", "next"];
  const view = views.includes(chosen) ? chosen : views[0]!;
  const goToQuestion = (name: string) => {
    if (narrow) {
      setView("questions");
    }
    // A hidden panel takes no focus, so this waits until it is shown.
    setTimeout(() => focusQuestion(name));
  };
  const questions = narrow
    ? { role: "tabpanel" as const, "aria-labelledby": "tab-questions" }
    : { "aria-label": "Questions" };
  return (
    <>
      {view !== "questions" && <Skip to="project">Skip to the project</Skip>}
      <Skip to="command">Skip to the command</Skip>
      <header class="top">
        <a href="../">copier-alembic</a>
        <h1>Start a project</h1>
        <Status session={session} copier={site.copier} />
        <span class="version">
          {site.address} {site.version}
        </span>
      </header>
      <main>
        <Tabs views={views} view={view} onView={setView} />
        <section id="panel-questions" {...questions} hidden={narrow && view !== "questions"}>
          <Form session={session} />
        </section>
        <section
          id="project"
          aria-label="Project"
          aria-busy={!session.fresh && !session.refusal && session.status.state !== "failed"}
          tabIndex={-1}
          hidden={view === "questions"}
        >
          <div role="status" class="notice">
            {noticeOf(session)}
          </div>
          <div id="panel-files" role="tabpanel" aria-labelledby="tab-files" hidden={view !== "files"}>
            <Files files={session.render.files} />
          </div>
          <div id="panel-next" role="tabpanel" aria-labelledby="tab-next" hidden={view !== "next"}>
            <pre class="message" tabIndex={0} role="region" aria-label="Next steps">
              {session.render.message}
            </pre>
          </div>
        </section>
        <CommandBar site={site} session={session} onQuestion={goToQuestion} />
      </main>
    </>
  );
}

/** A link past what comes before. The fragment of the address has the answers in it. */
function Skip({ to, children }: { to: string; children: string }) {
  const skip = (event: Event) => {
    event.preventDefault();
    document.getElementById(to)?.focus();
  };
  return (
    <a class="skip" href={`#${to}`} onClick={skip}>
      {children}
    </a>
  );
}

/** The state of the preview: green only if it shows the answers. Screen readers hear the rest. */
function Status({ session, copier }: { session: Session; copier: string }) {
  const { status, milliseconds, fresh, refusal } = session;
  const says = {
    starting: "Loading Copier, less than 10 MB…",
    ready: `Copier ${copier} runs here`,
    failed: "Copier couldn't start",
  };
  const waits = refusal ? "" : " · updating…";
  const time = fresh ? milliseconds > 0 && ` · ${Math.round(milliseconds)} ms` : waits;
  return (
    <span class={`status ${status.state === "ready" && !fresh ? "updating" : status.state}`}>
      <span role="status">{says[status.state]}</span>
      {status.state === "ready" && time}
    </span>
  );
}

function noticeOf({ status, milliseconds, fresh, refusal }: Session): string {
  if (status.state === "failed") {
    const shown = milliseconds ? "your last project" : "the defaults";
    return `Copier couldn't start: ${status.reason}. The preview shows ${shown}; the command has your answers.`;
  }
  if (refusal) {
    return `Copier couldn't render these answers: ${refusal}. The preview shows earlier ones.`;
  }
  return status.state === "starting" && !fresh
    ? "The preview shows the defaults until Copier has started."
    : "";
}

function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const follow = () => setMatches(media.matches);
    media.addEventListener("change", follow);
    return () => media.removeEventListener("change", follow);
  }, [query]);
  return matches;
}
