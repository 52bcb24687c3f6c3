/** The visitor's taste, in the browser's storage. A browser that stores nothing is no error. */

/** Return what was stored. */
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Store a text. */
export function remember(key: string, text: string): void {
  try {
    localStorage.setItem(key, text);
  } catch {
    // The choice holds until the page is closed.
  }
}
