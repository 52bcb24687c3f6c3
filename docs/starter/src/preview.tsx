import { Files } from "./files.tsx";
import { Picture } from "./picture.tsx";
import type { Session } from "./session.ts";
import type { View } from "./tabs.tsx";

/** The project that the answers make. */
export function Preview({ session, view }: { session: Session; view: View }) {
  const { picture, message } = session.render;
  return (
    <>
      <Notice session={session} />
      <div id="panel-files" role="tabpanel" aria-labelledby="tab-files" hidden={view !== "files"}>
        <Files files={session.render.files} />
      </div>
      <div
        id="panel-layout"
        role="tabpanel"
        aria-labelledby="tab-layout"
        hidden={view !== "layout"}
      >
        <p class="caption">
          An arrow goes from a module to one that it imports. A dashed box belongs to the template,
          which keeps it up to date.
        </p>
        <Picture svg={picture} />
      </div>
      <div id="panel-next" role="tabpanel" aria-labelledby="tab-next" hidden={view !== "next"}>
        <pre
          class="message"
          tabIndex={0}
          role="region"
          aria-label="What Copier says after the copy"
        >
          {message}
        </pre>
      </div>
    </>
  );
}

function Notice({ session }: { session: Session }) {
  return (
    <div role="status" class="notice">
      {noticeOf(session)}
    </div>
  );
}

function noticeOf({ status, milliseconds, fresh, refusal, render }: Session): string {
  if (status.state === "failed") {
    const shown = milliseconds ? "what was rendered last" : "the defaults";
    return `Copier cannot run here: ${status.reason}. The preview shows ${shown}; the command has your answers.`;
  }
  if (refusal) {
    return `Copier could not render these answers: ${refusal}. The preview shows earlier ones.`;
  }
  if (status.state === "starting" && !fresh) {
    return "The preview shows the defaults until Copier has started.";
  }
  return render.files.length
    ? ""
    : "There is a project to see when the marked question is answered.";
}
