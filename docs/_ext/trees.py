"""The directive `tree`: the files of a project that is rendered for the page.

A line `path: comment` of its body says what a file or a folder is for; one `folder/: comment`, with a
slash, leaves out what is in it.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from _ext import renders


class TreeDirective(SphinxDirective):
    """The tree of a project, with comments."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        # How many levels are shown; a folder at the last one is shown closed.
        "depth": directives.positive_int,
        # The folder to show; the whole project without it.
        "under": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return the tree as a block of text."""
        for path in renders.template_paths():
            self.env.note_dependency(path)
        try:
            answers = renders.parse_answers("".join(self.arguments))
            files = [file["path"] for file in renders.render(answers)["files"]]
        except ValueError as error:
            raise self.error(str(error)) from None
        comments = dict(line.split(": ", 1) for line in self.content if line.strip())
        folders = {
            f"{parent}/" for path in files for parent in PurePosixPath(path).parents
        }
        there = {*files, *folders, *(folder.strip("/") for folder in folders)}
        if unknown := comments.keys() - there:
            raise self.error(f"no render has {', '.join(sorted(unknown))}")
        top = self.options.get("under", "").strip("/")
        closed = tuple(path for path in comments if path.endswith("/"))
        depth = self.options.get("depth", 99)
        comments = {
            path.strip("/"): comment.replace("`", "")
            for path, comment in comments.items()
        }
        lines = [(f"{top or renders.FOLDER}/", "")]
        for path in sorted({*files, *folders} - {"./"}, key=place):
            if not path.startswith(f"{top}/" if top else "") or path.strip("/") == top:
                continue
            level = len(PurePosixPath(path).relative_to(top).parts)
            if level <= depth and not (path.startswith(closed) and path not in closed):
                name = f"{'  ' * level}{PurePosixPath(path).name}{'/' * path.endswith('/')}"
                lines.append((name, comments.get(path.strip("/"), "")))
        width = max(len(name) for name, _ in lines) + 2
        text = "\n".join(f"{name:{width}}{comment}".rstrip() for name, comment in lines)
        return [nodes.literal_block(text, text, language="text")]


def place(path: str) -> list[tuple[bool, str]]:
    """Sort as file managers do: in each folder its folders, then its files."""
    *folders, name = path.strip("/").split("/")
    last = (not path.endswith("/"), name.lower())
    return [*((False, folder.lower()) for folder in folders), last]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("tree", TreeDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
