"""Sessions: the commands of a page are run in their order, in one folder, while the page is read.

What they show is kept until the template or a block of the page changes. A command that does not do
what its page says is an error of the build.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any
from uuid import uuid4

from docutils import nodes
from sphinx.application import Sphinx

from _ext import renders
from _ext.renders import ADDRESS, FOLDER
from support import fork, history
from support.commands import UV_RUNS_HERE
from support.databases import (
    SERVERS,
    databases_beside,
    execute,
    missing,
    server_of,
    url_text,
)

# What a server's database is called on the pages.
DATABASE = "my_app"

# Longer than any command of a page may take, in seconds.
PATIENCE = 300

# A program that is fetched for one command is one of this environment's.
UVX = """\
#!/bin/sh
while [ "$1" = --with ]; do shift 2; done
exec "$@"
"""

# What a page says of that.
RAN = (
    "Each terminal on this page ran when the site was built. In place of uv run and uvx, the "
    "same programs started from one environment, without downloads."
)

GIT = f"""\
[user]
    name = Ada
    email = ada@example.com
[commit]
    gpgsign = false
[init]
    defaultBranch = main
[advice]
    detachedHead = false
[url "file://%s"]
    insteadOf = {renders.cloned()}
"""

# The next command has the folder and the variables that this one leaves.
SCRIPT = """\
set -o pipefail
%s
status=$?
env --null > "$HOME/.state"
exit $status
"""

# Most commands run one of these, and it is their imports that take time.
FORKED = {"alembic", "pytest", "python"}

# What only a shell understands.
FOR_A_SHELL = re.compile(r"[$&|;<>`*?~()#\\\n]")

# What Alembic and its hooks say each time.
LEFT_OUT = re.compile(
    r"^INFO .*(Context impl|Will assume).*\n?|^Running post write hook.*\n  done\n?",
    re.MULTILINE,
)

# `<id of add_capes>` in a command or a file is the identifier of that revision.
ID = re.compile(r"<id of (\w+)>")

# A number that is another one each time says nothing on a page.
SECONDS = re.compile(r"(passed|failed|skipped|error)(\S*) in \d+\.\d+s")

# A page's blocks that sessions play.
BLOCKS = re.compile(
    r"^ *(`{3,})\{(?:terminal|file)\}.*?^ *\1 *$", re.DOTALL | re.MULTILINE
)

# What a block shows: each command with its output, or a file's text alone.
Shown = list[tuple[str, str]]


class Unexpected(Exception):
    """A command did not do what its page says."""


@dataclass
class Session:
    """A folder in which commands run, with a project in it if a page has answers for one."""

    # None begins in an empty folder.
    answers: dict[str, Any] | None = None
    # The release that the project is made of, in a git repository of its own.
    version: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    shown: list[Shown] = field(default_factory=list)

    @property
    def server(self) -> str:
        """The server on which the project gets a database; empty if it names one itself."""
        answers = self.answers or {}
        database = answers.get("database", "sqlite")
        if database == "sqlite" or "database_url" in answers:
            return ""
        return server_of(database)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Create the folder, the database and the project; drop them afterwards."""
        with TemporaryDirectory() as folder, self.own_database():
            self.home = Path(folder).resolve() / "home"
            self.home.mkdir()
            # Outside of the home, where no command of a page sees it.
            uvx = self.home.with_name("uvx")
            uvx.write_text(UVX, encoding="utf-8")
            uvx.chmod(0o755)
            (self.home / ".gitconfig").write_text(GIT % REPOSITORY)
            path = [folder, sysconfig.get_path("scripts"), os.environ["PATH"]]
            self.env = UV_RUNS_HERE | {
                "HOME": str(self.home),
                "PWD": str(self.home),
                "LANG": "C.UTF-8",
                "PATH": os.pathsep.join(path),
                "COLUMNS": "80",
                "GIT_CONFIG_NOSYSTEM": "1",
                # The project does not have what is installed here besides.
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "true",
            }
            if self.answers is not None:
                self.start(self.answers)
            yield

    @contextmanager
    def own_database(self) -> Iterator[None]:
        """Create a database if the project's is on a server, and drop it afterwards."""
        # Other builds may have theirs on the same server.
        self.database = f"copier_alembic_{uuid4().hex[:12]}" if self.server else ""
        if not self.server:
            yield
            return
        server = SERVERS[self.server]
        execute(server, f"CREATE DATABASE {self.database}")
        try:
            yield
        finally:
            force = " WITH (FORCE)" if self.server == "postgresql" else ""
            others = databases_beside(server.set(database=self.database))
            for name in [*others, self.database]:
                execute(server, f"DROP DATABASE {name}{force}")

    def start(self, answers: dict[str, Any]) -> None:
        """Make the project, and go to its folder."""
        if answers.get("async_engine"):
            self.env["PYTEST_PLUGINS"] = "pytest_asyncio.plugin"
        shown = url = ""
        if self.server:
            questions = renders.state(answers)["questions"]
            [default] = [q["answer"] for q in questions if q["name"] == "database_url"]
            driver = default.partition(":")[0]
            server = SERVERS[self.server].set(drivername=driver)
            shown = url_text(server.set(database=DATABASE))
            url = url_text(server.set(database=self.database))
            answers = answers | {"database_url": shown}
        for file in [] if self.version else renders.render(answers)["files"]:
            target = self.project / file["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            text = file["text"].replace(shown, url) if shown else file["text"]
            target.write_text(text, encoding="utf-8")
            target.chmod(0o755 if file["executable"] else 0o644)
        if self.version:
            # As its owner did, who then committed it.
            data = " ".join(f"--data={name}={value}" for name, value in answers.items())
            release = f"--vcs-ref=v{self.version} {data} {ADDRESS} {FOLDER}"
            self.run(f"copier copy --quiet --defaults {release}")
            git = f"git -C {FOLDER}"
            self.run(f"{git} init --quiet && {git} add --all && {git} commit -qm Start")
        self.env["PWD"] = str(self.project)

    @property
    def project(self) -> Path:
        """The folder in which files are written."""
        return self.home / FOLDER

    def write(self, path: Path, text: str, replace: str = "", start: str = "") -> None:
        """Write a file, or replace a part of one, or everything from the start of a line on."""
        before = after = ""
        if part := replace or (start and f"\n{start}"):
            before, found, after = path.read_text(encoding="utf-8").partition(part)
            if not found:
                raise Unexpected(f"{path.name} has no {part.strip()!r}")
        if start:
            before, after = f"{before}\n", ""
        path.parent.mkdir(parents=True, exist_ok=True)
        after = after or "\n"
        path.write_text(f"{before}{text}{after}", encoding="utf-8")

    def find(self, pattern: str) -> Path:
        """Return a file of the project; with a `*`, the only one of that pattern."""
        if "*" not in pattern:
            return self.project / pattern
        found = sorted(self.project.glob(pattern))
        if len(found) != 1:
            names = ", ".join(path.name for path in found) or "none"
            raise Unexpected(f"{pattern} is not one file: {names}")
        return found[0]

    def fill_in(self, text: str) -> str:
        """Replace names of revisions by their identifiers, which are new each time."""

        def identifier(name: re.Match[str]) -> str:
            path = self.find(f"**/versions/*_{name[1]}.py")
            return path.name.split("-")[1].split("_")[0]

        return ID.sub(identifier, text)

    def run(self, command: str, fails: bool = False) -> tuple[str, str]:
        """Run a command, and return it with what it printed."""
        command = self.fill_in(command)
        if command.startswith("#"):
            return command, ""
        if "copier" in command:
            build_repository()
        output, status = self.fork(command) or self.bash(command)
        output = LEFT_OUT.sub("", output.replace(str(self.home), "~")).rstrip()
        if self.database:
            output = output.replace(self.database, DATABASE)
        if bool(status) != fails:
            what = "succeeded, and must fail" if fails else "failed"
            raise Unexpected(f"{what}:\n$ {command}\n{output}")
        return command, SECONDS.sub(r"\1\2", output)

    def bash(self, command: str) -> tuple[str, int]:
        """Run a command in a shell, and return what it printed and its exit status."""
        process = subprocess.run(
            ["bash", "-c", SCRIPT % command],
            cwd=self.env["PWD"],
            env=self.env,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
        )
        state = self.home / ".state"
        if state.exists():
            variables = state.read_text(encoding="utf-8").rstrip("\0").split("\0")
            self.env = dict(variable.split("=", 1) for variable in variables)
            state.unlink()
        return process.stdout, process.returncode

    def fork(self, command: str) -> tuple[str, int] | None:
        """Run `uv run alembic` and the like without their imports; None for any other command."""
        command = command.replace("\\\n", " ")
        if FOR_A_SHELL.search(command):
            return None
        words, variables = shlex.split(command), {}
        while words and re.match(r"\w+=", words[0]):
            name, _, variables[name] = words.pop(0).partition("=")
        if words[:2] != ["uv", "run"] or words[2] not in FORKED:
            return None
        process = fork.start(words[2:], Path(self.env["PWD"]), self.env | variables)
        output = process.finish(PATIENCE)
        return output, process.returncode or 0


# The template with a tag for each release, found at the address that pages name.
REPOSITORY = renders.CACHE / f"repository-{renders.fingerprint()[:32]}"


def build_repository() -> None:
    """Make the template's repository, unless another process has."""
    if REPOSITORY.exists():
        return
    folder = Path(mkdtemp(dir=renders.CACHE))
    history.build_history(folder / "new")
    with suppress(OSError):  # the other process was faster
        (folder / "new").rename(REPOSITORY)
    shutil.rmtree(folder)


def split_commands(text: str) -> list[str]:
    """Return the commands of a block: a line each, but with a backslash or a here-document."""
    commands: list[str] = []
    lines = iter(text.splitlines())
    for first in lines:
        command = [first]
        while command[-1].endswith("\\"):
            command.append(next(lines, ""))
        if end := re.search(r"<<-?\s*['\"]?(\w+)", first):
            while command[-1] != end[1]:
                command.append(next(lines, end[1]))
        if first.strip():
            commands.append("\n".join(command))
    return commands


class Page:
    """The sessions of the page that is read, and what they showed before."""

    def __init__(self, blocks: list[str]) -> None:
        """Look for what is kept."""
        self.kept = renders.remembered("pages", blocks)
        self.known: dict[str, list[Shown]] = {}
        if self.kept.exists():
            self.known = json.loads(self.kept.read_text(encoding="utf-8"))
        self.sessions: dict[str, Session] = {}
        self.opened = ExitStack()
        self.whole = True

    def play(
        self, name: str, new: Session | None, action: Callable[[Session], Shown]
    ) -> Shown | None:
        """Play a block of a session, and return what it shows; None if a server is missing."""
        begins = name not in self.sessions
        if new and not begins:
            raise Unexpected(f"{name} has begun: answers are on its first block")
        session = self.sessions.setdefault(name, new or Session())
        if name in self.known:
            session.shown.append(self.known[name][len(session.shown)])
        elif reason := missing(session.server) if session.server else "":
            self.whole = False
            if os.environ.get("CI"):
                raise Unexpected(reason)
            return None
        else:
            complete, self.whole = self.whole, False
            if begins:
                self.opened.enter_context(session.open())
            session.shown.append(action(session))
            self.whole = complete
        return session.shown[-1]

    def close(self) -> None:
        """Keep what was shown if everything was, and delete the folders."""
        self.opened.close()
        if self.whole and not self.known:
            shown = {name: session.shown for name, session in self.sessions.items()}
            renders.keep(self.kept, shown)


pages: dict[str, Page] = {}


def begin(app: Sphinx, name: str, source: list[str]) -> None:
    """Begin a page: it is read again when the template changes."""
    if blocks := [found[0] for found in BLOCKS.finditer(source[0])]:
        pages[name] = Page(blocks)
        for path in renders.inputs():
            app.env.note_dependency(path)


def end(app: Sphinx, document: nodes.document) -> None:
    """End a page, and say on it what ran."""
    if page := pages.pop(app.env.current_document.docname, None):
        page.close()
        blocks = [node for node in document.findall(nodes.container) if node["classes"]]
        section = document.next_node(nodes.section)
        if page.whole and section and any("terminal" in b["classes"] for b in blocks):
            section += nodes.paragraph(text=RAN, classes=["ran", "no-search"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Play the sessions of each page while it is read."""
    app.connect("source-read", begin, priority=900)
    app.connect("doctree-read", end)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
