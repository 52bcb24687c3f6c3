"""Fixtures: a template to render, projects made of it, databases of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import fork
import jinja2
import pytest
import releases
from pytest_copie.plugin import Copie
from sqlalchemy import URL, Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from variants import Variant

ROOT = Path(__file__).parent.parent

# Where the servers are; the user must be allowed to create and drop databases.
SERVERS = {
    "postgresql": make_url(
        os.environ.get(
            "POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
        )
    ),
    "mariadb": make_url(
        os.environ.get("MARIADB_URL", "mariadb+pymysql://root@127.0.0.1:3306")
    ),
}

# With these, `uv run` takes this environment, which has all drivers, for a project's own.
UV_RUNS_HERE = {
    "UV_NO_SYNC": "1",
    "UV_PROJECT_ENVIRONMENT": sys.prefix,
    "VIRTUAL_ENV": "",
    "PYTHONPATH": "src",
}

# A subprocess sees nothing of a developer's own database and compiles its modules once.
for variable in ("DATABASE_URL", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH"):
    os.environ.pop(variable, None)


def server_of(database: str) -> str:
    """Name the server that a database runs on here: MariaDB serves both of its dialects."""
    return {"mysql": "mariadb"}.get(database, database)


def connect(url: URL, **arguments: Any) -> Connection:
    """Open a connection that nothing pools; the arguments are the driver's."""
    return create_engine(url, poolclass=NullPool, connect_args=arguments).connect()


@cache
def missing(server: str) -> str:
    """Say in one line why a server cannot be used.

    Args:
        server: a key of `SERVERS`.

    Returns:
        An empty string where the server answers.
    """
    url = SERVERS[server]
    try:
        with connect(url, connect_timeout=5):
            return ""
    except OperationalError:
        return (
            f"{server} does not answer at {url.host}:{url.port}, its tests are skipped; "
            f"start it or set {server.upper()}_URL"
        )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run in CI without the servers: a skipped test would look like a passed one."""
    if os.environ.get("CI"):
        for server in SERVERS:
            if reason := missing(server):
                raise pytest.UsageError(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once which servers were missing."""
    for server in SERVERS:
        if reason := missing(server):
            terminalreporter.write_line(reason)


@pytest.fixture(scope="session", autouse=True)
def _no_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the developer's own Copier settings out of the answers."""
    settings = tmp_path_factory.mktemp("settings") / "settings.yml"
    settings.write_text("{}\n")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("COPIER_SETTINGS_PATH", str(settings))
        yield


@pytest.fixture(scope="session", autouse=True)
def _strings_compiled_once() -> Iterator[None]:
    """Let Jinja remember what it compiled: two thirds of a render by Copier are that.

    Jinja's own cache is for templates of a loader, and Copier's are strings.
    """
    compile_string = jinja2.Environment.compile
    compiled: dict[tuple[Any, ...], Any] = {}

    def compile_once(
        environment: jinja2.Environment, source: Any, *arguments: Any, **named: Any
    ) -> Any:
        options = (environment.trim_blocks, environment.lstrip_blocks)
        key = (type(environment), options, source, arguments, *sorted(named.items()))
        if key not in compiled:
            compiled[key] = compile_string(environment, source, *arguments, **named)
        return compiled[key]

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(jinja2.Environment, "compile", compile_once)
        yield


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder in memory, where there is one: updates are git and thousands of small files."""
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and shutil.disk_usage(shared).free > 2**30
    with (
        tempfile.TemporaryDirectory(dir=shared if roomy else None) as folder,
        pytest.MonkeyPatch.context() as monkeypatch,
    ):
        monkeypatch.setattr(tempfile, "tempdir", folder)  # Copier's own copies as well
        yield Path(folder)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the template without git, which Copier would ask once for every file."""
    folder = tmp_path_factory.mktemp("template")
    for name in releases.template_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


# Type of the fixture `database`: takes a database and a driver.
Database = Callable[[str, str], URL]


class Render(Protocol):
    """Type of the fixture `render`."""

    def __call__(self, variant: Variant = ..., **answers: Any) -> Path:
        """Render a variant with further answers and return the project's folder."""


@pytest.fixture
def render(copie: Copie, template: Path) -> Render:
    """Render the template with pytest-copie; fail unless every answer was taken as given."""

    def render(variant: Variant | None = None, **answers: Any) -> Path:
        answers = (variant or Variant()).answers | answers
        result = copie.copy(extra_answers=answers, template_dir=template)
        if result.exception:
            raise result.exception
        assert answers.items() <= result.answers.items()
        assert result.project_dir is not None
        return result.project_dir

    return render


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Make databases that no other test sees; they are dropped after the test."""
    created: list[tuple[str, str]] = []

    def make(database: str, driver: str) -> URL:
        if database == "sqlite":
            return URL.create(
                f"sqlite+{driver}", database=str(tmp_path / f"{uuid4().hex}.db")
            )
        server = server_of(database)
        if reason := missing(server):
            pytest.skip(reason)
        name = f"copier_alembic_{uuid4().hex[:12]}"
        execute(SERVERS[server], f"CREATE DATABASE {name}")
        created.append((server, name))
        return SERVERS[server].set(drivername=f"{database}+{driver}", database=name)

    yield make
    for server, name in created:
        force = " WITH (FORCE)" if server == "postgresql" else ""
        execute(SERVERS[server], f"DROP DATABASE {name}{force}")


def execute(url: URL, statement: str) -> None:
    """Run one statement outside any transaction."""
    with connect(url) as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text(statement))


def sync_url(url: URL) -> URL:
    """Return the URL with a driver that needs no event loop."""
    driver = {"sqlite": "pysqlite", "postgresql": "psycopg"}.get(
        url.get_backend_name(), "pymysql"
    )
    return url.set(drivername=f"{url.get_backend_name()}+{driver}")


def query(url: URL, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement in a transaction of its own.

    Args:
        url: the database; its driver may be async.
        statement: plain SQL.

    Returns:
        Its rows, or nothing where it returns none.
    """
    with connect(sync_url(url)) as connection:
        result = connection.execute(text(statement))
        rows = [tuple(row) for row in result] if result.returns_rows else []
        connection.commit()
    return rows


def run(
    *command: str | Path,
    cwd: Path,
    env: dict[str, str] | None = None,
    fails: bool = False,
) -> str:
    """Run a program and return its output.

    Args:
        command: program and arguments.
        cwd: where to run it.
        env: variables to add to the environment.
        fails: whether the program must fail; otherwise it must not.

    Returns:
        Standard output and standard error, in the order in which they were written.
    """
    process = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env=os.environ | (env or {}),
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert bool(process.returncode) == fails, process.stdout
    return process.stdout


def script(name: str) -> Path:
    """Return the path of a console script of this environment."""
    return Path(sys.executable).with_name(f"{name}.exe" if os.name == "nt" else name)


def alembic(
    project: Path,
    *arguments: str,
    url: URL | None = None,
    fails: bool = False,
    **env: str,
) -> str:
    """Run the `alembic` command in a project, as its owner would.

    Args:
        project: the project's folder, with its package below `src`.
        arguments: of the command.
        url: becomes `DATABASE_URL`.
        fails: whether the command must fail; otherwise it must not.
        env: further variables.

    Returns:
        Everything that the command printed.
    """
    if url is not None:
        env["DATABASE_URL"] = url.render_as_string(hide_password=False)
    output = project.parent / f"{project.name}.log"
    code = fork.alembic_command(
        list(arguments),
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project / "src")} | env,
        output=output,
    )
    text = output.read_text(encoding="utf-8")
    assert bool(code) == fails, text
    return text


def alembic_each(
    project: Path, commands: Iterable[Sequence[str]], *, url: URL, **env: str
) -> str:
    """Run several `alembic` commands in one interpreter; most of a command is its start."""
    return python(
        project,
        "import json, os\n"
        "from alembic.config import main\n"
        "for arguments in json.loads(os.environ.pop('COMMANDS')): main(arguments)",
        COMMANDS=json.dumps([list(command) for command in commands]),
        DATABASE_URL=url.render_as_string(hide_password=False),
        **env,
    )


def python(project: Path, code: str, **env: str) -> str:
    """Run Python code in a project and return what it printed."""
    return run(sys.executable, "-c", code, cwd=project, env={"PYTHONPATH": "src"} | env)
