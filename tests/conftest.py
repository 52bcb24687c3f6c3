"""Fixtures: a template to render, projects made of it, databases of their own."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pytest_copie.plugin import Copie
from sqlalchemy import URL

from support import releases
from support.databases import SERVERS, execute, missing, server_of
from support.faster import faster_copier
from support.history import build_history
from support.history import committed as committed_copy
from support.projects import Database, New, Project, Render
from support.servers import PROGRAMS, missing_package
from support.variants import Engine, Variant

pytest_plugins = ["support.site"]


# A folder in memory, where there is one: tests write thousands of small files.
MEMORY = Path("/dev/shm")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run in CI without the servers: a skipped test would look like a passed one."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2**31:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
        tempfile.tempdir = str(MEMORY)  # Copier's own copies as well
    if os.environ.get("CI"):
        for reason in not_here():
            raise pytest.UsageError(reason)


def not_here() -> list[str]:
    """Say of each server that the tests use, or start, why it is not there."""
    reasons = [*map(missing, SERVERS), *map(missing_package, PROGRAMS)]
    return [reason for reason in reasons if reason]


def pytest_xdist_auto_num_workers() -> int:
    """Start one worker more than there are processors: tests wait for servers, and for locks."""
    return (os.cpu_count() or 1) + 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once which servers were missing."""
    for reason in not_here():
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
def _one_mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let mypy read the libraries once, and not once for each project."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("MYPY_CACHE_DIR", str(tmp_path_factory.mktemp("mypy")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _faster_copier() -> Iterator[None]:
    """Spare each render what the one before it has found out."""
    with faster_copier():
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the template without git, which Copier would ask once for every file."""
    return releases.copy_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the template with git: an installed kit is required by its commit."""
    return committed_copy(tmp_path_factory.mktemp("committed"))


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with a tag for each release, and for the working tree."""
    repository = tmp_path_factory.mktemp("history") / "template"
    build_history(repository)
    return repository


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the tests of a module share."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def render(copie: Copie, template: Path, request: pytest.FixtureRequest) -> Render:
    """Render the template with pytest-copie; fail unless every answer was taken as given."""

    def render(variant: Variant | None = None, **answers: Any) -> Path:
        answers = (variant or Variant()).answers | answers
        installed = answers["kit"] == "installed"
        folder = request.getfixturevalue("committed") if installed else template
        result = copie.copy(extra_answers=answers, template_dir=folder)
        if result.exception:
            raise result.exception
        assert answers.items() <= result.answers.items()
        assert result.project_dir is not None
        return result.project_dir

    return render


@pytest.fixture(scope="session")
def rendered() -> dict[str, Path]:
    """The projects that were rendered so far, by their answers, as they were when new."""
    return {}


@pytest.fixture
def new(
    render: Render,
    rendered: dict[str, Path],
    database: Database,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> New:
    """Give a new project a database of its own; the same answers are rendered once."""

    def new(variant: Variant | Engine | None = None, **answers: Any) -> Project:
        if not isinstance(variant, Variant):
            variant = Variant(variant) if variant else Variant()
        engine = variant.engine
        key = json.dumps(variant.answers | answers, sort_keys=True)
        if key not in rendered:
            rendered[key] = tmp_path_factory.mktemp("rendered") / "project"
            shutil.move(render(variant, **answers), rendered[key])
            for kit in rendered[key].rglob("migration_kit"):
                compileall.compile_dir(kit, quiet=1)
        folder = tmp_path / "projects"
        folder.mkdir(exist_ok=True)
        return Project(
            shutil.copytree(rendered[key], folder / f"p{len(list(folder.iterdir()))}"),
            lambda: database(engine.database, engine.driver),
            variant.migrations,
        )

    return new


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
