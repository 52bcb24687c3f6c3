import { Question } from "./question.tsx";
import type { Session } from "./session.ts";

/** The questions that Copier would ask, in its order. */
export function Form({ session }: { session: Session }) {
  return (
    <form autocomplete="off" onSubmit={(event) => event.preventDefault()}>
      {session.render.questions
        .filter((question) => question.asked)
        .map((question) => (
          <Question
            key={question.name}
            question={question}
            answer={session.answers[question.name]}
            error={session.errors[question.name] ?? ""}
            onAnswer={(answer, typing) => session.answer(question.name, answer, typing)}
            onFault={(fault) => session.fault(question.name, fault)}
            onForget={() => session.forget(question.name)}
          />
        ))}
    </form>
  );
}
