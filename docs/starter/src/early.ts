/** Runs before the page is drawn, so that no other theme flashes up: the choice on the other pages. */

import { recall } from "./taste.ts";

document.documentElement.dataset.theme = recall("theme") ?? "auto";
