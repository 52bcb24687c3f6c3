"""Reference pages: a line `% insert NAME` of a page becomes what the template's source says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from _ext import features, files, questions, renders, settings

# What can be inserted, each as Markdown.
INSERTS: dict[str, Callable[[], str]] = {
    "features": features.markdown,
    "files": files.markdown,
    "questions": questions.markdown,
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
        return INSERTS[line[1]]()

    source[0] = re.sub(r"^% insert (\S+)$", markdown, source[0], flags=re.MULTILINE)


def setup(app: Sphinx) -> dict[str, Any]:
    """Fill in each page that is read."""
    app.connect("source-read", insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
