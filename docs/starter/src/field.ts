import type { Answer, Question } from "./protocol.ts";

/** What a widget is given. */
export interface Field {
  question: Question;
  /** What the visitor wrote, else what Copier proposes. */
  value: Answer | null;
  /** Empty where the answer is accepted. */
  error: string;
  /** Ids of the field, its label and what is said about it. */
  id: string;
  labelledBy: string;
  describedBy: string;
  onAnswer: (answer: Answer, typing: boolean) => void;
  onFault: (fault: string) => void;
}
