"""The directive `tree`: the files of a project that is rendered for the page."""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from _ext import renders

Tree = dict[str, "Tree"]


class TreeDirective(SphinxDirective):
    """The tree of a project; a line `path: comment` of the body says what a file is for."""

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
        top = self.options.get("under", "").strip("/")
        comments = dict(line.split(": ", 1) for line in self.content if line.strip())
        tree = nest(
            [path for path in files if path.startswith(f"{top}/" if top else "")]
        )
        unknown = {path for path in comments if not found(tree, path)}
        if unknown:
            raise self.error(f"no render has {', '.join(sorted(unknown))}")
        for name in top.split("/") if top else []:
            tree = tree[name]
        shown = nodes.bullet_list(classes=["tree"])
        root = f"{top or renders.FOLDER}/"
        shown += self.entry(root, "", tree, comments, f"{top}/" if top else "", 1)
        return [shown]

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
                remark = comments.get(path, comments.get(f"{path}/", ""))
                if inside:
                    child += "/"
                children += self.entry(
                    child, remark, inside, comments, f"{path}/", level + 1
                )
            item += children
        return item


def nest(paths: list[str]) -> Tree:
    """Return folders and files as nested mappings, folders first."""
    tree: Tree = {}
    for path in paths:
        below = tree
        for name in path.split("/"):
            below = below.setdefault(name, {})
    return folders_first(tree)


def folders_first(tree: Tree) -> Tree:
    """Sort as file managers do."""
    order = sorted(tree, key=lambda name: (not tree[name], name.lower()))
    return {name: folders_first(tree[name]) for name in order}


def found(tree: Tree, path: str) -> bool:
    """Tell whether a tree has a file or a folder."""
    for name in path.strip("/").split("/"):
        if name not in tree:
            return False
        tree = tree[name]
    return True


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("tree", TreeDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
