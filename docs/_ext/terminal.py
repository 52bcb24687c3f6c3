"""The directives `terminal` and `file`: commands of a page with what they print, and its files."""

from __future__ import annotations

from subprocess import SubprocessError
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from pygments.lexers import (  # type: ignore[import-untyped]
    find_lexer_class_for_filename,
)
from sphinx.application import Sphinx
from sphinx.directives.code import container_wrapper
from sphinx.util.docutils import SphinxDirective

from _ext import renders, sessions
from _ext.sessions import Session, Shown, Unexpected, split_commands


class SessionDirective(SphinxDirective):
    """A block of a session, which its first argument names; a subclass plays and shows it."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        "answers": directives.unchanged,
        "from": directives.unchanged_required,
        "fails": directives.flag,
        "quiet": directives.flag,
        "append": directives.flag,
        "replace": directives.unchanged_required,
        "start-at": directives.unchanged_required,
        "end-before": directives.unchanged_required,
        "language": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Play the block, and return what the page shows of it."""
        options, new = self.options, None
        try:
            if "answers" in options:
                answers = renders.parse_answers(options["answers"])
                new = Session(answers, options.get("from"))
            page = sessions.pages[self.env.current_document.docname]
            return self.show(page.play(self.arguments[0], new, self.play))
        except (OSError, SubprocessError, ValueError, Unexpected) as error:
            raise self.error(str(error)) from None

    def play(self, session: Session) -> Shown:
        """Do what the block says."""
        raise NotImplementedError

    def show(self, shown: Shown | None) -> list[nodes.Node]:
        """Return what the page shows of it; without what is shown, its server was missing."""
        raise NotImplementedError


class Terminal(SessionDirective):
    """Commands of a session, which are run."""

    required_arguments = 1

    def play(self, session: Session) -> Shown:
        """Run the commands."""
        fails = "fails" in self.options
        return [session.run(command, fails) for command in self.commands()]

    def commands(self) -> list[str]:
        """Return the commands of the block."""
        self.assert_has_content()
        return split_commands("\n".join(self.content))

    def show(self, shown: Shown | None) -> list[nodes.Node]:
        """Return the commands, each with what it printed."""
        # With another source than its text, or it would be highlighted.
        block = nodes.literal_block("terminal")
        for command, output in shown or [(command, "") for command in self.commands()]:
            if command.startswith("#"):
                block += nodes.inline(text=f"{command}\n", classes=["comment"])
                continue
            block += nodes.inline(text="$ ", classes=["gp"])
            block += nodes.inline(text=command, classes=["command"])
            block += nodes.Text("\n")
            if output and "quiet" not in self.options:
                # With its end of line, or that would be copied.
                block += nodes.inline(text=f"{output}\n", classes=["go"])
        terminal = nodes.container("", block, classes=["terminal", "highlight"])
        if shown is not None:
            return [terminal]
        missing = "This server was not there when the site was built, so these commands did not run."
        return [terminal, nodes.paragraph(text=missing, classes=["ran"])]


class FileDirective(SessionDirective):
    """A file of a session: written with the block's text, or shown as it is if it has none."""

    required_arguments = 2

    def play(self, session: Session) -> Shown:
        """Write the file, or read it."""
        path, text = session.find(self.arguments[1]), "\n".join(self.content)
        if not text:
            return [(path.read_text(encoding="utf-8"), "")]
        text = session.fill_in(text)
        if "append" in self.options:
            session.write(path, path.read_text(encoding="utf-8") + text)
        else:
            replace, start = (
                self.options.get(name, "") for name in ("replace", "start-at")
            )
            session.write(path, text, replace, start)
        return [(text, "")]

    def show(self, shown: Shown | None) -> list[nodes.Node]:
        """Return the file with its path as a caption."""
        path, text = self.arguments[1], "\n".join(self.content)
        if shown:
            text = shown[0][0] if text else self.cut(shown[0][0])
        lexer = find_lexer_class_for_filename(path)
        # An option names the language of a part that is not what the file is.
        language = self.options.get("language", lexer.aliases[0] if lexer else "text")
        block = nodes.literal_block(text, text, language=language)
        return [container_wrapper(self, block, f"`{path.replace('*', '…')}`")]

    def cut(self, text: str) -> str:
        """Return the lines from one that has a text to the one before that has another."""
        start, end = (self.options.get(name, "") for name in ("start-at", "end-before"))
        lines = text.splitlines()
        first = next((n for n, line in enumerate(lines) if start in line), 0)
        after = enumerate(lines[first + 1 :], first + 1)
        last = next((n for n, line in after if end and end in line), None)
        return "\n".join(lines[first:last]).strip("\n")


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives."""
    app.setup_extension("_ext.sessions")
    app.add_directive("terminal", Terminal)
    app.add_directive("file", FileDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
