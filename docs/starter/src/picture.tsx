import { useEffect, useRef } from "preact/hooks";

/** The layout, as the engine drew it: an SVG document. */
export function Picture({ svg }: { svg: string }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // XML that is not well-formed becomes an element that says so, never markup of this page.
    const parsed = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
    box.current?.replaceChildren(
      ...(parsed.localName === "svg" ? [document.importNode(parsed, true)] : []),
    );
  }, [svg]);
  return (
    <div ref={box} class="layout" tabIndex={0} role="region" aria-label="Picture of the layout" />
  );
}
