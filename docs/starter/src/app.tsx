import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { CommandBar } from "./commandbar.tsx";
import { Form } from "./form.tsx";
import { Preview } from "./preview.tsx";
import type { Site } from "./protocol.ts";
import { focusQuestion } from "./question.tsx";
import { Said } from "./said.tsx";
import { type Session, useSession } from "./session.ts";
import { Tabs, type View } from "./tabs.tsx";
import { ThemeButton } from "./themebutton.tsx";

/** As in style.css: here the questions are a tab of their own. */
const NARROW = "(max-width: 60rem)";

export function App({ site }: { site: Site }) {
  const session = useSession(site);
  const narrow = useMedia(NARROW);
  const [chosen, setView] = useState<View>("questions");
  const views: View[] = narrow
    ? ["questions", "files", "layout", "next"]
    : ["files", "layout", "next"];
  const view = views.includes(chosen) ? chosen : views[0]!;
  const [wanted, setWanted] = useState<{ name: string }>();
  const goToQuestion = (name: string) => {
    if (narrow) {
      setView("questions");
    }
    setWanted({ name });
  };
  // Nothing has the focus in a panel that is hidden yet.
  useLayoutEffect(() => {
    if (wanted) {
      focusQuestion(wanted.name);
    }
  }, [wanted]);
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
        <span class="grow" />
        <Status session={session} copier={site.copier} />
        <span class="version">
          {site.address} {site.version}
        </span>
        <ThemeButton />
      </header>
      <main>
        <Tabs views={views} view={view} onView={setView} />
        <section id="panel-questions" {...questions} hidden={narrow && view !== "questions"}>
          <Form session={session} />
        </section>
        <section id="project" aria-label="Project" tabIndex={-1} hidden={view === "questions"}>
          <Preview session={session} view={view} />
        </section>
        <CommandBar site={site} session={session} onQuestion={goToQuestion} />
        <Said />
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

/** What the engine does. How long it took is no news for a screen reader. */
function Status({ session, copier }: { session: Session; copier: string }) {
  const { status, milliseconds } = session;
  const says = {
    starting: `Copier starts… ${"step" in status ? status.step : ""}`,
    ready: `Copier ${copier} runs here`,
    failed: "Copier cannot run here",
  };
  return (
    <span class={`status ${status.state}`}>
      <span role="status">{says[status.state]}</span>
      {status.state === "ready" && milliseconds > 0 && ` · ${Math.round(milliseconds)} ms`}
    </span>
  );
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
