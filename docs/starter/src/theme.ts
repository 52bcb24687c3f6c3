/** Light, dark, or as the system has it. The documentation keeps its choice under the same key. */

import { recall, remember } from "./storage.ts";

export const THEMES = ["auto", "light", "dark"] as const;

export type Theme = (typeof THEMES)[number];

const KEY = "theme";

/** Reads the visitor's choice. */
export function storedTheme(): Theme {
  const stored = recall(KEY);
  return THEMES.find((theme) => theme === stored) ?? "auto";
}

/** Paints the page; style.css knows the attribute. */
export function paint(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
}

/** Remembers the choice and paints the page. */
export function choose(theme: Theme): void {
  remember(KEY, theme);
  paint(theme);
}
