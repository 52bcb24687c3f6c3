"""The directive `layout`: the picture of a project's layout, drawn from its files."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from _ext import renders


class Layout(SphinxDirective):
    """The layout of a project with some answers, as a picture within the page."""

    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the picture; it stands in the page, so that it follows light and dark."""
        for path in renders.template_paths():
            self.env.note_dependency(path)
        try:
            render = renders.render(renders.parse_answers("".join(self.arguments)))
        except ValueError as error:
            raise self.error(str(error)) from None
        html = f'<div class="layout">{render["picture"]}</div>'
        return [nodes.raw("", html, format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("layout", Layout)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
