import type { Question as Asked } from "./protocol.ts";
import { Question } from "./question.tsx";
import type { Session } from "./session.ts";
import { Choices } from "./widgets.tsx";

/** The first questions, in this order. Copier has its own order, which the command has as well. */
const BOTH = ["database", "async_engine"];
const NEW = ["project_name", ...BOTH];
const EXISTING = ["base_import", "source_dir", "migrations_dir", ...BOTH, "database_url"];
const DATABASES = ["more_databases", "more_base_imports"];
const TENANTS = ["tenants"];
const LAST = ["example", "ci"];

/** The first question; the others of `base_location` are about the layout. */
const KINDS = [
  { label: "New project", value: false, disabled: "", lines: 0 },
  { label: "Existing project: add only the migrations", value: true, disabled: "", lines: 0 },
];

/** The questions: first those that matter to most; any other one is an option. */
export function Form({ session }: { session: Session }) {
  const { render, answers, complaint } = session;
  const asked = render.questions.filter((question) => question.asked);
  const base = asked.find(({ name }) => name === "base_location")!;
  const existing = answers[base.name] === "existing";
  const first = [...(existing ? EXISTING : NEW), "features"];
  const named = (names: string[]) =>
    names.flatMap((name) => asked.filter((question) => question.name === name));
  const others = asked
    .filter(({ name }) => ![...first, ...DATABASES, ...TENANTS, ...LAST].includes(name))
    .filter((question) => question !== base || !existing)
    .map((question) => (question === base ? layoutOf(base) : question));
  return (
    <form
      autocomplete="off"
      autocapitalize="off"
      spellcheck={false}
      onSubmit={(event) => event.preventDefault()}
    >
      <p role="status" class="notice">
        {complaint}
      </p>
      <div class="question">
        <span id="kind" class="label">
          New or existing project?
        </span>
        <Choices
          question={{ ...base, choices: KINDS }}
          value={existing}
          id="kind-field"
          labelledBy="kind"
          onAnswer={(answer) => session.answer(base.name, answer ? "existing" : undefined)}
        />
      </div>
      <Questions questions={named(first)} session={session} />
      <Options title="More databases" questions={named(DATABASES)} session={session} />
      <Options title="Tenants" questions={named(TENANTS)} session={session} />
      <Questions questions={named(LAST)} session={session} />
      <Options title="More options" questions={others} session={session} />
    </form>
  );
}

/** The part of the question that is about the layout of a new project. */
function layoutOf(base: Asked): Asked {
  const choices = base.choices
    .filter(({ value }) => value !== "existing")
    .map((choice) => ({ ...choice, label: choice.label.replace(/^New: /, "") }));
  return { ...base, help: "Where should Base be, the parent class of your models?", choices };
}

interface Props {
  questions: Asked[];
  session: Session;
}

function Questions({ questions, session }: Props) {
  return (
    <>
      {questions.map((question) => (
        <Question key={question.name} question={question} session={session} />
      ))}
    </>
  );
}

/** Questions that start closed. */
function Options({ title, questions, session }: Props & { title: string }) {
  const changed = questions.filter(({ name }) => name in session.answers).length;
  return (
    <details>
      <summary>
        {title}
        {changed > 0 && <span class="badge">{changed} changed</span>}
      </summary>
      <div class="options">
        <Questions questions={questions} session={session} />
      </div>
    </details>
  );
}
