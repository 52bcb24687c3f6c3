"""The directives `terminal` and `file`: commands of a page with what they print, and its files."""

from __future__ import annotations

from html import escape
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from rich.console import Console
from rich.text import Text
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

from _ext import renders, sessions
from _ext.sessions import Block, split_commands

LANGUAGES = {
    ".ini": "ini",
    ".md": "markdown",
    ".py": "python",
    ".sql": "sql",
    ".toml": "toml",
    ".yaml": "yaml",
    ".yml": "yaml",
}

# The eight of a terminal, in their order; bright ones are the same.
COLORS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"]


class terminal(nodes.General, nodes.Element):
    """Commands, and the place of what they print."""


class shown_file(nodes.General, nodes.Element):
    """A file as a session left it."""


class SessionDirective(SphinxDirective):
    """A block of a session, which its first argument names."""

    has_content = True

    def add(self, block: Block, node: nodes.Element) -> nodes.Element:
        """Add the block to its session, and tell the node where its result will be."""
        options = self.options
        try:
            answers = options.get("answers")
            index = sessions.add_block(
                self.env,
                self.arguments[0],
                block,
                None if answers is None else renders.parse_answers(answers),
                options.get("from"),
            )
        except ValueError as error:
            raise self.error(str(error)) from None
        node["page"] = self.env.current_document.docname
        node["session"], node["block"] = self.arguments[0], index
        return node

    @property
    def place(self) -> str:
        """Page and line."""
        return ":".join(map(str, self.get_source_info()))


class Terminal(SessionDirective):
    """Commands of a session, which are run."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {
        "answers": directives.unchanged,
        "from": directives.unchanged_required,
        "fails": directives.flag,
        "quiet": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        """Return the commands, and the place of what they print."""
        self.assert_has_content()
        commands = split_commands("\n".join(self.content))
        block = Block(
            "run", self.place, commands=tuple(commands), fails="fails" in self.options
        )
        node = terminal(commands=commands, quiet="quiet" in self.options)
        return [self.add(block, node)]


class FileDirective(SessionDirective):
    """A file of a session: written with the block's text, or shown as it is where it has none."""

    required_arguments = 2
    option_spec: ClassVar[dict[str, Any]] = {
        "append": directives.flag,
        "answers": directives.unchanged,
        "from": directives.unchanged_required,
        "replace": directives.unchanged_required,
        "start-at": directives.unchanged_required,
        "end-before": directives.unchanged_required,
        "language": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return the file with its path as a caption."""
        path, text = self.arguments[1], "\n".join(self.content)
        block = Block(
            "write" if text else "show",
            self.place,
            path=path,
            text=text,
            append="append" in self.options,
            replace=self.options.get("replace", ""),
            start=self.options.get("start-at", "") if text else "",
        )
        node = shown_file(
            path=path.replace("*", "…"),
            text=text,
            start=self.options.get("start-at", ""),
            end=self.options.get("end-before", ""),
            language=self.options.get("language", ""),
        )
        return [self.add(block, node)]


def html_of(text: str) -> str:
    """Return what a program printed as HTML; its colours become classes that the theme colours."""
    parts: list[tuple[list[str], str]] = []
    for part, style, _ in Text.from_ansi(text).render(Console()):
        classes = []
        if style and not isinstance(style, str):
            classes += [name for name in ("bold", "dim") if getattr(style, name)]
            if style.color:
                classes.append(COLORS[(style.color.number or 0) % len(COLORS)])
        parts.append(([f"ansi-{name}" for name in classes], escape(part)))
    grouped = [
        (" ".join(classes), "".join(part for _, part in same))
        for classes, same in groupby(parts, key=lambda part: part[0])
    ]
    return "".join(
        f'<span class="{classes}">{part}</span>' if classes and part.strip() else part
        for classes, part in grouped
    ).rstrip()


def visit_terminal(self: HTML5Translator, node: nodes.Element) -> None:
    """Write commands, each with what it printed."""
    env = self.builder.env
    played = sessions.shown_by(env, node["page"], node["session"], node["block"])
    parts = []
    for command, output in played or [(command, "") for command in node["commands"]]:
        if command.startswith("#"):
            parts.append(f'<span class="comment">{escape(command)}\n</span>')
            continue
        parts.append(
            '<span class="gp" aria-hidden="true">$ </span>'
            f'<span class="command">{escape(command)}</span>\n'
        )
        if output and not node["quiet"]:
            # With its end of line, or that would be copied.
            parts.append(f'<span class="go">{html_of(output)}\n</span>')
    self.body.append('<figure class="terminal" aria-label="Terminal"><pre>')
    self.body.append("".join(parts))
    self.body.append("</pre></figure>\n")
    if played is None:
        self.body.append(
            '<p class="not-run">Not run when this page was built, for want of a server.</p>\n'
        )
    raise nodes.SkipNode


def visit_shown_file(self: HTML5Translator, node: nodes.Element) -> None:
    """Write a file with its path."""
    env, text = self.builder.env, node["text"]
    played = sessions.shown_by(env, node["page"], node["session"], node["block"])
    if played:
        [(shown, _)] = played
        text = shown if text else cut(shown, node["start"], node["end"])
    language = LANGUAGES.get(PurePosixPath(node["path"]).suffix, "text")
    language = node["language"] or language  # of a part that is not what the file is
    highlighted = self.highlighter.highlight_block(text, language, location=node)
    self.body.append(
        '<div class="literal-block-wrapper docutils container">'
        f'<div class="code-block-caption"><span class="caption-text">'
        f"<code>{escape(node['path'])}</code></span></div>"
        f'<div class="highlight-{language} notranslate">{highlighted}</div></div>\n'
    )
    raise nodes.SkipNode


def cut(text: str, start: str, end: str) -> str:
    """Return the lines from one that has a text to the one before that has another."""
    lines = text.splitlines()
    first = next((n for n, line in enumerate(lines) if start in line), 0)
    last = next(
        (n for n, line in enumerate(lines) if end and n > first and end in line), None
    )
    return "\n".join(lines[first:last]).strip("\n")


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives."""
    app.setup_extension("_ext.sessions")
    app.add_node(terminal, html=(visit_terminal, None))
    app.add_node(shown_file, html=(visit_shown_file, None))
    app.add_directive("terminal", Terminal)
    app.add_directive("file", FileDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
