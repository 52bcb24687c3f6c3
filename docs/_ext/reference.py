"""Pages: a line `% insert NAME` of a page becomes what the template's source says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from _ext import features, figures, files, questions, renders, settings
from support import owners

# What can be inserted, each as Markdown; a name in the line is an argument.
INSERTS: dict[str, Callable[..., str]] = {
    "checks": features.checks_markdown,
    "features": features.markdown,
    "figures": figures.markdown,
    "files": files.markdown,
    "owners": owners.table,
    "questions": questions.markdown,
    "room": features.room_markdown,
    "run": settings.run_markdown,
    "rules": settings.rules_markdown,
    "settings": settings.settings_markdown,
    "sizes": features.sizes_markdown,
}


def insert(app: Sphinx, page: str, source: list[str]) -> None:
    """Fill in a page that is read.

    Raises:
        ExtensionError: if a page wants something else.
    """

    def markdown(line: re.Match[str]) -> str:
        if line[1] not in INSERTS:
            raise ExtensionError(f"{page}: nothing is called {line[1]}")
        for path in [*renders.template_paths(), *renders.own_code()]:
            app.env.note_dependency(path)
        return INSERTS[line[1]](*line[2].split())

    pattern = re.compile(r"^% insert (\S+)(.*)$", re.MULTILINE)
    source[0] = pattern.sub(markdown, source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Fill in each page that is read."""
    app.connect("source-read", insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
