export type View = "questions" | "files" | "next";

const LABELS: Record<View, string> = {
  questions: "Questions",
  files: "Files",
  next: "Next steps",
};

interface Props {
  views: View[];
  view: View;
  onView: (view: View) => void;
}

/** A row of tabs: one tab stop, arrows choose. */
export function Tabs({ views, view, onView }: Props) {
  const press = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      const next = views.at((views.indexOf(view) + step) % views.length)!;
      onView(next);
      document.getElementById(`tab-${next}`)?.focus();
    }
  };
  return (
    <div role="tablist" aria-label="What to show" class="tabs" onKeyDown={press}>
      {views.map((one) => (
        <button
          key={one}
          type="button"
          role="tab"
          id={`tab-${one}`}
          aria-controls={`panel-${one}`}
          aria-selected={one === view}
          tabIndex={one === view ? 0 : -1}
          onClick={() => onView(one)}
        >
          {LABELS[one]}
        </button>
      ))}
    </div>
  );
}
