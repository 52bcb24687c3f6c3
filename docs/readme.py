"""Write the tables of README.md that come from elsewhere.

``uv run python docs/readme.py`` renders projects, counts their lines, and replaces everything between
``<!-- NAME -->`` and ``<!-- /NAME -->``. Figures are those of docs/explanation/figures.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from _ext import features, figures
from support import owners
from support.releases import ROOT

README = ROOT / "README.md"

BLOCKS: dict[str, Callable[[], str]] = {
    "features": lambda: features.markdown("docs/how-to"),
    "sizes": features.sizes_markdown,
    "crashes": lambda: figures.markdown("crashes"),
    "online": lambda: figures.markdown("online"),
    "owners": owners.table,
}


def written(text: str) -> str:
    """Return a text with its blocks written again.

    Raises:
        LookupError: if it does not have one of them.
    """
    for name, markdown in BLOCKS.items():
        block = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
        found = block.search(text)
        if not found:
            raise LookupError(f"{README.name} has no <!-- {name} -->")
        text = f"{text[: found.start()]}{markdown()}\n{text[found.end() :]}"
    return text


def main() -> None:
    """Write README.md again."""
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
