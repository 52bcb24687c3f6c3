"""A generated project in the hands of its owner, with a database of its own."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL

from support import databases, fork, history, layout
from support.commands import environment, run, script
from support.databases import url_text
from support.revisions import HERO, add_revision
from support.variants import Engine, Variant

# What each example makes.
TABLES = {
    "none": set(),
    "hero": {"heroes"},
    "tour": {"heroes", "departments", "employees", "department_employees", "users"},
}
UP_AND_DOWN = [
    ["upgrade", "head"],
    ["check"],
    ["downgrade", "base"],
    ["upgrade", "head"],
]

# A program that migrates, without the command.
PROGRAM = """
import asyncio, logging, os
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

URL = os.environ.pop("TEST_URL")
config = Config("alembic.ini")
"""

EACH = """
import json, os
from alembic.config import main
for arguments in json.loads(os.environ.pop("COMMANDS")):
    main(arguments)
"""


class Render(Protocol):
    """Type of the fixture `render`."""

    def __call__(self, variant: Variant = ..., **answers: Any) -> Path:
        """Render a variant with further answers and return the project's folder."""


class New(Protocol):
    """Type of the fixture `new`."""

    def __call__(self, variant: Variant | Engine = ..., **answers: Any) -> Project:
        """Render a variant with further answers, for a database of its own."""


# Type of the fixture `database`: takes a database and a driver.
Database = Callable[[str, str], URL]


class Project:
    """A folder with a project, and the database that its commands are pointed to."""

    def __init__(
        self,
        path: Path,
        url: URL | Callable[[], URL] | None = None,
        migrations: str = "migrations",
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Take a project.

        Args:
            path: its folder.
            url: what `DATABASE_URL` says, or what makes that database when it is needed;
                nothing leaves it to alembic.ini.
            migrations: the folder of env.py.
            env: further variables; by default `PYTHONPATH`, which stands for the installation.
        """
        self.path = path
        self.migrations = migrations
        self.env = {"PYTHONPATH": "src"} if env is None else dict(env)
        self._url = url

    def __truediv__(self, name: str) -> Path:
        """Return a path below the project's folder."""
        return self.path / name

    def __fspath__(self) -> str:
        """Return the project's folder, for programs to run in."""
        return str(self.path)

    # ---------------------------------------------------------------------- Database

    @property
    def url(self) -> URL:
        """The project's database, which is made when it is first asked for."""
        if callable(self._url):
            self._url = self._url()
        assert self._url is not None
        return self._url

    def on(self, url: URL) -> Project:
        """Return the same project on another database."""
        return Project(self.path, url, self.migrations, self.env)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own and return its rows."""
        return databases.query(self.url, statement)

    def tables(self) -> set[str]:
        """Return the names of the tables, without Alembic's own."""
        return databases.tables(self.url)

    def version(self) -> list[str]:
        """Return the revisions that the database records."""
        return databases.version(self.url)

    # ---------------------------------------------------------------------- Commands

    def start(self, *command: str, **env: str) -> fork.Process:
        """Start `alembic` or `python` with arguments and further variables."""
        url = {} if self._url is None else {"DATABASE_URL": url_text(self.url)}
        return fork.start(command, self.path, environment(**self.env | url | env))

    def run(
        self,
        *command: str,
        fails: bool = False,
        elsewhere: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Run `alembic` or `python` in a fork, as the project's owner would.

        Args:
            command: the program and its arguments.
            fails: whether the command must fail; otherwise it must not.
            elsewhere: whether the command is not pointed to the database.
            env: further variables.

        Returns:
            Everything that the command printed.
        """
        variables = self.env | dict(env or {})
        if self._url is not None and not elsewhere:
            variables = {"DATABASE_URL": url_text(self.url)} | variables
        process = fork.start(command, self.path, environment(**variables))
        output = process.finish()
        assert bool(process.returncode) == fails, output
        return output

    def alembic(self, *arguments: str, fails: bool = False, **env: str) -> str:
        """Run the `alembic` command."""
        return self.run("alembic", *arguments, fails=fails, env=env)

    def alembic_each(self, commands: Iterable[Sequence[str]], **env: str) -> str:
        """Run several `alembic` commands in one interpreter."""
        arguments = json.dumps([list(command) for command in commands])
        return self.python(EACH, COMMANDS=arguments, **env)

    def upgraded(self) -> Project:
        """Upgrade the database, and return the project."""
        self.alembic("upgrade", "head")
        return self

    def python(self, code: str, **env: str) -> str:
        """Run Python code and return what it printed."""
        return self.run("python", "-c", code, env=env)

    def program(self, code: str, **env: str) -> str:
        """Run code of a program that migrates; only `config.attributes` leads to the database."""
        if "TEST_URL" not in env:
            env["TEST_URL"] = url_text(self.url)
        return self.python(PROGRAM + code, **{"DATABASE_URL": "nonsense"} | env)

    def kit(self, name: str, *arguments: str, fails: bool = False, **env: str) -> str:
        """Run a command of the template, see `layout.command`; it needs no database."""
        words = shlex.split(layout.command(name, self.migrations))
        command = ("python", *words, *arguments)
        return self.run(*command, fails=fails, elsewhere=True, env=env)

    def rebase(self, revision: str, fails: bool = False) -> str:
        """Put a revision behind the other head."""
        return self.kit("rebase", revision, fails=fails)

    def lint(self, *arguments: str, fails: bool = False) -> str:
        """Lint the SQL of new revisions, where squawk is installed."""
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        return self.kit("lint", *arguments, fails=fails, PATH=path)

    def own_tests(self, *arguments: str, fails: bool = False, **env: str) -> str:
        """Run the project's own tests, and see that no database is left behind."""
        temporary = self.path.parent / f"{self.path.name}-tmp"
        temporary.mkdir(exist_ok=True)
        server = self._url is not None and self.url.get_backend_name() != "sqlite"
        test_url = {"TEST_DATABASE_URL": url_text(self.url)} if server else {}
        output = self.run(
            *("python", "-m", "pytest", "-q", "-p", "no:copie", *arguments),
            fails=fails,
            elsewhere=True,
            env={"TMPDIR": str(temporary)} | test_url | env,
        )
        assert list(temporary.glob("*_test_*")) == []
        assert not server or databases.databases_beside(self.url) == []
        return output

    def ruff(self) -> None:
        """See that every file is formatted and linted."""
        run(script("ruff"), "format", "--check", cwd=self.path)
        run(script("ruff"), "check", cwd=self.path)

    def mypy(self) -> None:
        """See that every file is typed."""
        run(sys.executable, "-m", "mypy", cwd=self.path)

    def git(self, *arguments: str) -> str:
        """Run git and return what it printed."""
        return history.git(self.path, *arguments)

    def commit(self, message: str = "start") -> None:
        """Commit everything; the first time, this makes the repository."""
        if not (self / ".git").exists():
            self.git("init", "--quiet", "--initial-branch", "main")
        history.commit(self.path, message)

    # ------------------------------------------------------------------------- Files

    @property
    def versions(self) -> Path:
        """The folder of the revisions."""
        return self.path / self.migrations / "versions"

    @property
    def revisions(self) -> list[Path]:
        """The files of the revisions."""
        return sorted(self.versions.glob("*.py"))

    def revision(self, message: str) -> Path:
        """Return the file of the revision that Alembic wrote for a message."""
        [path] = self.versions.glob(f"*_{message.replace(' ', '_')}.py")
        return path

    def head(self) -> str:
        """Return what HEAD says."""
        return self.read(f"{self.migrations}/HEAD")

    def read(self, name: str) -> str:
        """Return the text of a file."""
        return (self / name).read_text(encoding="utf-8")

    def write(self, name: str, text: str) -> Path:
        """Write a file, and return its path."""
        path = self / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def edit(self, name: str, before: str, after: str) -> None:
        """Replace a text, which must be there, in a file."""
        text = self.read(name)
        assert before in text
        self.write(name, text.replace(before, after))

    def add_revision(
        self,
        revision: str,
        upgrade: str,
        downgrade: str = "pass",
        down_revision: str | None = HERO,
    ) -> Path:
        """Write a revision; see `support.revisions`."""
        return add_revision(self.versions, revision, upgrade, downgrade, down_revision)


def alembic(project: Path, *arguments: str, fails: bool = False, **env: str) -> str:
    """Run the `alembic` command in a folder, on the database of its alembic.ini."""
    return Project(project).alembic(*arguments, fails=fails, **env)


def last_line(output: str) -> str:
    """Return the one line of a failure: no traceback stands before it."""
    assert "Traceback" not in output
    lines = output.splitlines()
    assert lines[-1].startswith("FAILED: ")
    assert sum("FAILED" in line for line in lines) == 1
    assert "ERROR" not in output
    return lines[-1].removeprefix("FAILED: ")
