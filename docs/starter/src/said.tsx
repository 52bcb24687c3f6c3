const ID = "said";

/** Where `say` speaks to screen readers: they do not watch the text of a button. */
export function Said() {
  return <p id={ID} role="status" class="unseen" />;
}

/** Tells a screen reader what a button did. */
export function say(text: string): void {
  document.getElementById(ID)!.textContent = text;
}
