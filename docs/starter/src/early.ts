/** Runs before the page is drawn, so that no other theme flashes up. */

import { paint, storedTheme } from "./theme.ts";

paint(storedTheme());
