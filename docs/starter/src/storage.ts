/** What the browser remembers: nothing but taste. A browser that keeps nothing is no error. */

/** Reads what was remembered. */
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Remembers a text. */
export function remember(key: string, text: string): void {
  try {
    localStorage.setItem(key, text);
  } catch {
    // The choice holds until the page is left.
  }
}
