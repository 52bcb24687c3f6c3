import { render } from "preact";
import { App } from "./app.tsx";

/** The build writes the default project next to the page, and its name into the page. */
const preload = document.querySelector<HTMLLinkElement>("link[rel=preload]")!;
const response = await fetch(preload.href);
const site = await response.json();

// Until here, the page says what to do without this script.
const place = document.getElementById("app")!;
place.replaceChildren();
render(<App site={site} />, place);
