"""Pages: `% insert NAME` becomes what the template's source says, an address the site's, keywords entries."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from _ext import features, figures, messages, questions, renders, settings
from support import owners
from support.messages import CATALOGUE

# What can be inserted, each as Markdown; a name in the line is an argument.
INSERTS: dict[str, Callable[..., str]] = {
    "features": features.markdown,
    "figures": figures.markdown,
    "messages": messages.markdown,
    "owners": owners.table,
    "questions": questions.markdown,
    "room": features.room_markdown,
    "settings": settings.markdown,
    "sizes": features.sizes_markdown,
}


def insert(app: Sphinx, page: str, source: list[str]) -> None:
    """Fill in a page that is read; raise ExtensionError if it asks for something else."""

    def markdown(line: re.Match[str]) -> str:
        if line[1] not in INSERTS:
            raise ExtensionError(f"{page}: nothing is called {line[1]}")
        code = Path(__file__).parent.glob("*.py")
        for path in [*renders.inputs(), *code, CATALOGUE]:
            app.env.note_dependency(path)
        return INSERTS[line[1]](*line[2].split())

    text = re.sub(r"^% insert (\S+)(.*)$", markdown, source[0], flags=re.MULTILINE)
    source[0] = figures.quote(text).replace(renders.PLACEHOLDER, renders.ADDRESS)


def index_keywords(app: Sphinx, document: nodes.document) -> None:
    """Make an entry of the search of each keyword, which puts the page in front of others."""
    for meta in list(document.findall(nodes.meta)):
        if meta.get("name") == "keywords":
            words = [word.strip() for word in meta["content"].split(",")]
            entries = [("single", word, "", "main", None) for word in words]
            document += addnodes.index(entries=entries)


def setup(app: Sphinx) -> dict[str, Any]:
    """Fill in each page that is read."""
    app.connect("source-read", insert)
    app.connect("doctree-read", index_keywords)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
