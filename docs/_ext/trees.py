"""The directive `tree`: the files of a project that is rendered for the page.

A line `path: comment` of its body says what a file or a folder is for; one `folder/: comment`, with a
slash, leaves out what is in it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from _ext import renders

Tree = dict[str, "Tree"]

# What stands for a file in a tree: a folder may be empty as well.
FILE: Tree = {}


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
        """Return the tree as nested lists."""
        for path in renders.template_paths():
            self.env.note_dependency(path)
        try:
            answers = renders.parse_answers("".join(self.arguments))
            files = [file["path"] for file in renders.render(answers)["files"]]
        except ValueError as error:
            raise self.error(str(error)) from None
        comments = dict(line.split(": ", 1) for line in self.content if line.strip())
        closed = tuple(path for path in comments if path.endswith("/"))
        folders = {parent for path in files for parent in parents(path)}
        if unknown := comments.keys() - {
            *files,
            *folders,
            *(f.strip("/") for f in folders),
        }:
            raise self.error(f"no render has {', '.join(sorted(unknown))}")
        top = self.options.get("under", "").strip("/")
        prefix = f"{top}/" if top else ""
        shown = [path for path in files if path.startswith(prefix)]
        tree = nest([path for path in shown if not path.startswith(closed)] + [*closed])
        for name in top.split("/") if top else []:
            tree = tree[name]
        comments = {path.strip("/"): comment for path, comment in comments.items()}
        root = self.entry(prefix or f"{renders.FOLDER}/", "", tree, comments, prefix, 1)
        return [nodes.bullet_list("", root, classes=["tree"])]

    def entry(
        self,
        name: str,
        comment: str,
        below: Tree,
        comments: dict[str, str],
        prefix: str,
        level: int,
    ) -> nodes.list_item:
        """Return a file or a folder with all below it."""
        item = nodes.list_item(classes=["folder" if name.endswith("/") else "file"])
        line = nodes.paragraph("", "", nodes.literal(text=name))
        if comment:
            inline, messages = self.parse_inline(comment)
            line += nodes.inline("", "", *inline, *messages, classes=["comment"])
        item += line
        if below and level <= self.options.get("depth", 99):
            children = nodes.bullet_list()
            for child, inside in below.items():
                path = prefix + child
                children += self.entry(
                    f"{child}/" if inside is not FILE else child,
                    comments.get(path, ""),
                    inside,
                    comments,
                    f"{path}/",
                    level + 1,
                )
            item += children
        return item


def parents(path: str) -> set[str]:
    """Return the folders above a file, each with a slash at its end."""
    names = path.split("/")
    return {"/".join(names[:length]) + "/" for length in range(1, len(names))}


def nest(paths: list[str]) -> Tree:
    """Return folders and files as nested mappings, folders first; a folder ends with a slash."""
    tree: Tree = {}
    for path in paths:
        *folders, name = path.split("/")
        below = tree
        for folder in folders:
            below = below.setdefault(folder, {})
        if name:
            below[name] = FILE
    return folders_first(tree)


def folders_first(tree: Tree) -> Tree:
    """Sort as file managers do."""
    order = sorted(tree, key=lambda name: (tree[name] is FILE, name.lower()))
    return {
        name: FILE if tree[name] is FILE else folders_first(tree[name])
        for name in order
    }


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("tree", TreeDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
