import { render } from "preact";
import { App } from "./app.tsx";
import type { Site } from "./protocol.ts";

const place = document.getElementById("app")!;

async function load(): Promise<Site | undefined> {
  try {
    return await (await fetch("default.json")).json();
  } catch {
    return undefined;
  }
}

const site = await load();
if (site) {
  place.replaceChildren();
  render(<App site={site} />, place);
} else {
  place.textContent =
    "This page could not be loaded as a whole. Reload it; Copier asks the same on the command line.";
}
