"""Sessions: the commands of a page are run in their order, in one folder, when the site is built.

Reading a page collects its blocks, in this process or in another one. When all pages are read,
the sessions are played side by side, and a result goes to the place of its block. A command that
does not do what its page says stops the build.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from uuid import uuid4

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from _ext import renders
from _ext.renders import ADDRESS, FOLDER
from support import fork, history, releases
from support.commands import UV_RUNS_HERE
from support.databases import (
    SERVERS,
    databases_beside,
    execute,
    missing,
    server_of,
    url_text,
)
from support.releases import ROOT

log = logging.getLogger(__name__)

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

# The template is read and cloned several times for an update, and once will do.
COPIER = f"""\
#!{sys.executable}
import sys
sys.path.append({str(ROOT / "tests")!r})
from copier._cli import CopierApp
from support.faster import faster_copier
with faster_copier():
    CopierApp.run()
"""

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
    insteadOf = https://github.com/{ADDRESS.removeprefix("gh:")}.git
"""

# The shell of the next command goes on with the folder and the variables of this one.
SCRIPT = """\
set -o pipefail
%s
status=$?
env --null > "$HOME/.state"
exit $status
"""

# What these run is most of all commands, and it is their imports that take time.
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


@dataclass(frozen=True)
class Block:
    """What one block of a page does in its session."""

    kind: Literal["run", "write", "show"]
    # Where it stands, for a message.
    place: str
    # Commands to run.
    commands: tuple[str, ...] = ()
    fails: bool = False
    # A file to write or to show: its path may have a `*` for what nobody knows beforehand.
    path: str = ""
    text: str = ""
    append: bool = False
    # What is written takes the place of this, or of all from the line on that begins with that.
    replace: str = ""
    start: str = ""


@dataclass
class Session:
    """The blocks of a session, in their order."""

    # The project's answers as the page has them; None begins in an empty folder.
    answers: dict[str, Any] | None = None
    # The release that the project is made of, in a git repository of its own.
    version: str | None = None
    blocks: list[Block] = field(default_factory=list)

    @property
    def server(self) -> str:
        """The server on which the project gets a database; empty where it names one itself."""
        answers = self.answers or {}
        database = answers.get("database", "sqlite")
        if database == "sqlite" or "database_url" in answers:
            return ""
        return server_of(database)

    def all_answers(self) -> dict[str, Any]:
        """Return the answers that the project is made with, of a server's database as well."""
        answers = self.answers or {}
        if not self.server:
            return answers
        database = answers["database"]
        driver = {"postgresql": "psycopg"}.get(database, "pymysql")
        url = SERVERS[self.server].set(
            drivername=f"{database}+{answers.get('driver', driver)}", database=DATABASE
        )
        return answers | {"database_url": url_text(url)}


# What the blocks of a session showed: each command with its output, or a file's text alone.
Results = list[list[tuple[str, str]]]


class Unexpected(Exception):
    """A command did not do what its page says."""

    def __init__(self, place: str, message: str) -> None:
        """Take the place of its block, and what happened."""
        super().__init__(message)
        self.place = place


def split_commands(text: str) -> list[str]:
    """Return the commands of a block: a line each, but with a backslash or a here-document."""
    commands: list[str] = []
    lines = iter(text.splitlines())
    for first in lines:
        command = [first]
        while command[-1].endswith("\\"):
            command.append(next(lines, ""))
        if end := re.search(r"<<-?\s*['\"]?(\w+)", first):
            command += read_until(lines, end[1])
        if first.strip():
            commands.append("\n".join(command))
    return commands


def read_until(lines: Iterator[str], end: str) -> Iterator[str]:
    """Yield lines to the one that ends a here-document."""
    for line in lines:
        yield line
        if line == end:
            return


class Player:
    """Plays one session in a folder of its own."""

    def __init__(self, session: Session, home: Path, repository: Path) -> None:
        """Make the folder.

        Args:
            session: what is played.
            home: an empty folder, shown as `~`.
            repository: the template with its tags, found at the address that pages tell.
        """
        self.session, self.home = session, home
        # Beside the home, where no command of a page sees them.
        programs = home.with_name("programs")
        programs.mkdir()
        for name, text in {"uvx": UVX, "copier": COPIER}.items():
            (programs / name).write_text(text, encoding="utf-8")
            (programs / name).chmod(0o755)
        (home / ".gitconfig").write_text(GIT % repository)
        answers = session.answers or {}
        path = [str(programs), sysconfig.get_path("scripts"), os.environ["PATH"]]
        self.env = UV_RUNS_HERE | {
            "HOME": str(home),
            "PWD": str(home),
            "LANG": "C.UTF-8",
            "PATH": os.pathsep.join(path),
            "COLUMNS": "80",
            "FORCE_COLOR": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            # The project has neither what is installed here besides, nor asyncio's plugin
            # where nothing is async.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "true",
        }
        if answers.get("async_engine"):
            self.env["PYTEST_PLUGINS"] = "pytest_asyncio.plugin"
        # Other builds may have theirs on the same server.
        self.database = f"copier_alembic_{uuid4().hex[:12]}" if session.server else ""

    @property
    def project(self) -> Path:
        """The folder in which files are written."""
        return self.home / FOLDER

    def play(self) -> Results:
        """Run everything.

        Raises:
            Unexpected: if a command does not do what its page says.
        """
        with self.own_database():
            if self.session.answers is not None:
                self.start()
            return [self.play_block(block) for block in self.session.blocks]

    @contextmanager
    def own_database(self) -> Iterator[None]:
        """Create a database where the project's is on a server, and drop it afterwards."""
        if not self.session.server:
            yield
            return
        server = SERVERS[self.session.server]
        execute(server, f"CREATE DATABASE {self.database}")
        try:
            yield
        finally:
            force = " WITH (FORCE)" if self.session.server == "postgresql" else ""
            url = server.set(database=self.database)
            for name in [*databases_beside(url), self.database]:
                execute(server, f"DROP DATABASE {name}{force}")

    def start(self) -> None:
        """Make the project, and go to its folder."""
        answers = self.session.all_answers()
        if self.session.version:
            self.start_from_release(answers, self.session.version)
        else:
            for file in renders.render(answers)["files"]:
                target = self.project / file["path"]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(self.own(file["text"], answers), encoding="utf-8")
                target.chmod(0o755 if file["executable"] else 0o644)
        self.env["PWD"] = str(self.project)

    def own(self, text: str, answers: dict[str, Any]) -> str:
        """Lead a file of the project to the database that was created for it."""
        if not self.database:
            return text
        shown = answers["database_url"]
        return text.replace(shown, f"{shown.removesuffix(DATABASE)}{self.database}")

    def start_from_release(self, answers: dict[str, Any], version: str) -> None:
        """Make the project of an older release, as its owner did, and commit it."""
        data = [
            f"--data={name}={value if isinstance(value, str) else json.dumps(value)}"
            for name, value in answers.items()
        ]
        copy = ["copier", "copy", "--quiet", "--defaults", f"--vcs-ref=v{version}"]
        commands = [
            [*copy, *data, ADDRESS, FOLDER],
            ["git", "-C", FOLDER, "init", "--quiet"],
            ["git", "-C", FOLDER, "add", "--all"],
            ["git", "-C", FOLDER, "commit", "--quiet", "--message", "Start"],
        ]
        for command in commands:
            subprocess.run(command, cwd=self.home, env=self.env, check=True)

    def play_block(self, block: Block) -> list[tuple[str, str]]:
        """Do what one block says, and return what it shows."""
        if block.kind == "run":
            return [self.run(command, block) for command in block.commands]
        path = self.find(block)
        if block.kind == "show":
            return [(path.read_text(encoding="utf-8"), "")]
        text = self.fill_in(block.text, block)
        self.write(path, text, block)
        return [(text, "")]

    def write(self, path: Path, text: str, block: Block) -> None:
        """Write a file, or a part of one that is there."""
        before = after = ""
        if block.append or block.replace or block.start:
            before = path.read_text(encoding="utf-8")
        if part := block.replace or (block.start and f"\n{block.start}"):
            if part not in before:
                raise Unexpected(block.place, f"{path.name} has no {part.strip()!r}")
            before, _, after = before.partition(part)
        if block.start:
            before, after = f"{before}\n", ""
        path.parent.mkdir(parents=True, exist_ok=True)
        end = after or "\n"
        path.write_text(f"{before}{text}{end}", encoding="utf-8")

    def find(self, block: Block) -> Path:
        """Return the file that a block names."""
        if "*" not in block.path:
            return self.project / block.path
        return self.the_one(block.path, block)

    def the_one(self, pattern: str, block: Block) -> Path:
        """Return the only file of a pattern."""
        found = sorted(self.project.glob(pattern))
        if len(found) != 1:
            names = ", ".join(path.name for path in found) or "none"
            raise Unexpected(block.place, f"{pattern} is not one file: {names}")
        return found[0]

    def fill_in(self, text: str, block: Block) -> str:
        """Write identifiers of revisions, which are new each time, for what names them."""

        def identifier(name: re.Match[str]) -> str:
            path = self.the_one(f"**/versions/*_{name[1]}.py", block)
            return path.name.split("-")[1].split("_")[0]

        return ID.sub(identifier, text)

    def run(self, command: str, block: Block) -> tuple[str, str]:
        """Run a command, and return it with what it printed."""
        command = self.fill_in(command, block)
        if command.startswith("#"):
            return command, ""
        output, status = self.fork(command) or self.bash(command)
        output = LEFT_OUT.sub("", output.replace(str(self.home), "~")).rstrip()
        if self.database:
            output = output.replace(self.database, DATABASE)
        if bool(status) != block.fails:
            what = "succeeded, and must fail" if block.fails else "failed"
            raise Unexpected(block.place, f"{what}:\n$ {command}\n{output}")
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


def remembered(session: Session) -> Path:
    """Return the file that keeps the results of a session, wherever its blocks stand."""
    blocks = [asdict(replace(block, place="")) for block in session.blocks]
    return renders.remembered("sessions", [session.answers, session.version, blocks])


def play(session: Session, repository: Path) -> None:
    """Play a session, and keep its results.

    Raises:
        Unexpected: if a command does not do what its page says.
    """
    with TemporaryDirectory() as folder:
        home = Path(folder).resolve() / "home"
        home.mkdir()
        renders.keep(remembered(session), Player(session, home, repository).play())


def build_repository(folder: Path, older: Iterable[str]) -> None:
    """Make the template's repository, with tags for some releases and for the working tree.

    Args:
        folder: where it will be.
        older: the releases.
    """
    folder.mkdir()
    history.git(folder, "init", "--quiet")
    for version in [v for v in releases.archived() if v in set(older)]:
        releases.unpack(version, folder)
        history.release(folder, f"v{version}")
        history.empty(folder)
    releases.copy_template(folder)
    history.release(folder, history.NOW)


# The sessions of each page by their names, as the environment keeps them.
Pages = dict[str, dict[str, Session]]


def sessions_of(env: BuildEnvironment) -> Pages:
    """Return the sessions that the pages have so far."""
    pages: Pages = getattr(env, "copier_alembic_sessions", {})
    env.copier_alembic_sessions = pages  # type: ignore[attr-defined]
    return pages


def add_block(
    env: BuildEnvironment,
    name: str,
    block: Block,
    answers: dict[str, Any] | None = None,
    version: str | None = None,
) -> int:
    """Add a block to a session of the page that is read.

    Returns:
        Its place among the blocks of its session.

    Raises:
        ValueError: if the project's answers come too late.
    """
    page = sessions_of(env).setdefault(env.current_document.docname, {})
    session = page.setdefault(name, Session(answers, version))
    if session.blocks and answers is not None:
        raise ValueError(
            f"the session {name} has begun: answers stand on its first block"
        )
    session.blocks.append(block)
    return len(session.blocks) - 1


def shown_by(
    env: BuildEnvironment, page: str, name: str, block: int
) -> list[tuple[str, str]] | None:
    """Return what a block showed; None where its server is missing."""
    results: dict[tuple[str, str], Results | None]
    results = env.copier_alembic_results  # type: ignore[attr-defined]
    played = results[page, name]
    return None if played is None else played[block]


def play_all(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Play the sessions of all pages; a command that does something else is an error.

    Returns:
        The pages to write: all that have one, because the template may have changed.
    """
    named = {
        (page, name): session
        for page, sessions in sessions_of(env).items()
        for name, session in sessions.items()
    }
    playable = {key: session for key, session in named.items() if is_playable(session)}
    play_new([s for s in playable.values() if not remembered(s).exists()])
    results: dict[tuple[str, str], Results | None] = dict.fromkeys(named)
    for key, session in playable.items():
        if remembered(session).exists():
            text = remembered(session).read_text(encoding="utf-8")
            results[key] = json.loads(text)
    env.copier_alembic_results = results  # type: ignore[attr-defined]
    return sorted({page for page, _ in named})


def play_new(sessions: list[Session]) -> None:
    """Play sessions side by side."""
    if not sessions:
        return
    for session in sessions:
        if session.answers is not None and not session.version:
            # Copier is no thing for several threads.
            renders.render(session.all_answers())
    with TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        repository = Path(folder).resolve() / "copier-alembic"
        build_repository(repository, {s.version for s in sessions if s.version})
        fork.server()  # one for all
        longest = sorted(sessions, key=lambda session: -len(session.blocks))
        futures = [(s, pool.submit(play, s, repository)) for s in longest]
        for session, future in futures:
            try:
                future.result()
            except Unexpected as error:
                log.error("%s", error, location=error.place)
            except (subprocess.SubprocessError, TimeoutError) as error:
                log.error("%s", error, location=session.blocks[0].place)


def is_playable(session: Session) -> bool:
    """Tell whether a session's server is there; in CI it must be."""
    reason = missing(session.server) if session.server else ""
    if reason and os.environ.get("CI"):
        log.error("%s", reason)
    return not reason


def forget(app: Sphinx, env: BuildEnvironment, page: str) -> None:
    """Drop the sessions of a page that is read anew."""
    sessions_of(env).pop(page, None)


def merge(
    app: Sphinx, env: BuildEnvironment, pages: Iterable[str], other: BuildEnvironment
) -> None:
    """Take the sessions of pages that another process has read."""
    for page in pages:
        if page in sessions_of(other):
            sessions_of(env)[page] = sessions_of(other)[page]


def setup(app: Sphinx) -> dict[str, Any]:
    """Play the sessions between reading and writing."""
    app.connect("env-purge-doc", forget)
    app.connect("env-merge-info", merge)
    app.connect("env-updated", play_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
