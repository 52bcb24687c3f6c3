import { render } from "preact";
import { App } from "./app.tsx";
import type { Site } from "./protocol.ts";

const place = document.getElementById("app")!;
try {
  const site = (await (await fetch("default.json")).json()) as Site;
  render(<App site={site} />, place);
} catch (error) {
  place.textContent = "This page could not load what it shows. Reload it, or ask on the command line.";
  throw error;
}
