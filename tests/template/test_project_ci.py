"""The CI of a generated project passes when it is new, and catches what people forget."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from support import layout
from support.commands import UV_RUNS_HERE, environment
from support.damage import change_model, empty_downgrade, two_heads
from support.databases import url_text
from support.projects import New, Project
from support.variants import FEATURES, ONE_OF_EACH, POSTGRESQL, Variant


def ci_commands(project: Project) -> list[str]:
    """Return what the project's CI runs, but for the notice of a newer template."""
    github, gitlab = project / ".github/workflows/ci.yml", project / ".gitlab-ci.yml"
    if github.exists():
        steps = yaml.safe_load(github.read_text())["jobs"]["migrations"]["steps"]
        commands = [step["run"] for step in steps if "run" in step]
    else:
        commands = yaml.safe_load(gitlab.read_text())["migrations"]["script"]
    return [command for command in commands if "check-update" not in command]


def through_uv(project: Project, command: str, env: dict[str, str]) -> bool:
    """Run a command as CI does, and return whether it succeeds."""
    step = ["sh", "-euc", command]
    env = environment(**UV_RUNS_HERE | env)
    return not subprocess.run(step, cwd=project, env=env, check=False).returncode


def in_fork(project: Project, command: str, env: dict[str, str]) -> bool:
    """Run the program that uv would run, and return whether it succeeds."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = project.start(*shlex.split(command)[2:], PATH=path, **env)
    process.finish()
    return not process.returncode


def first_failure(
    project: Project, commands: list[str], perform: Callable[..., bool]
) -> str:
    """Run commands of the project's CI, and return the first one that fails."""
    url = url_text(project.url)
    env = {"DATABASE_URL": url, "TEST_DATABASE_URL": url}
    failing = (one for one in commands if not perform(project, one, env))
    return next(failing, "")


def unsafe_revision(project: Project) -> None:
    model = project / "src/my_app/models/hero.py"
    index = "age: Mapped[int | None] = mapped_column(index=True)"
    model.write_text(model.read_text().replace("age: Mapped[int | None]", index))
    up = 'op.create_index("ix_heroes_age", "heroes", ["age"])'
    project.add_revision("one", up, 'op.drop_index("ix_heroes_age", "heroes")')
    project.kit("head")


def new_model_without_drawing(project: Project) -> None:
    unsafe_revision(project)
    path = project / "migrations/versions/one.py"
    escape = "# squawk-ignore: require-concurrent-index-creation\n"
    path.write_text(escape + path.read_text())


@pytest.mark.parametrize(
    ("damage", "fails_at"),
    [
        (two_heads, "alembic upgrade head"),
        (unsafe_revision, layout.command("lint")),
        (new_model_without_drawing, layout.command("draw --check")),
        (change_model, "alembic check"),
        (empty_downgrade, "pytest"),
    ],
)
def test_ci_catches_what_people_forget(
    new: New,
    damage: Callable[[Project], None],
    fails_at: str,
) -> None:
    project = new(POSTGRESQL)
    project.commit()
    damage(project)
    project.commit("work")
    tools = re.compile("ruff|mypy")  # which say nothing of migrations
    commands = [one for one in ci_commands(project) if not tools.search(one)]
    assert re.search(fails_at, first_failure(project, commands, in_fork))


@pytest.mark.parametrize(
    "variant",
    [
        Variant(ONE_OF_EACH[0], example="tour", features=FEATURES["default"]),
        Variant(POSTGRESQL, example="tour", ci="gitlab"),
    ],
    ids=str,
)
def test_ci_passes_on_a_new_project(new: New, variant: Variant) -> None:
    """On MariaDB it has no other commands, and test_readme.py runs these there."""
    project = new(variant)
    project.commit()
    assert first_failure(project, ci_commands(project), through_uv) == ""
