/** Runs before the page is drawn, so that no other theme flashes up: the choice on the other pages. */

try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "auto";
} catch {
  // A browser that stores nothing has no choice.
}
