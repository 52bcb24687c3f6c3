"""The CI of a generated project passes when it is new, and catches what people forget."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import pytest
import yaml

from support import layout
from support.commands import UV_RUNS_HERE, environment
from support.damage import change_model, empty_downgrade, two_heads
from support.databases import url_text
from support.projects import New, Project
from support.variants import ONE_OF_EACH, POSTGRESQL, Engine, Variant


def ci_commands(project: Project) -> list[str]:
    """Return what the project's CI runs, but for the notice of a newer template."""
    github, gitlab = project / ".github/workflows/ci.yml", project / ".gitlab-ci.yml"
    if github.exists():
        steps = yaml.safe_load(github.read_text())["jobs"]["migrations"]["steps"]
        commands = [step["run"] for step in steps if "run" in step]
    else:
        commands = yaml.safe_load(gitlab.read_text())["migrations"]["script"]
    return [command for command in commands if "check-update" not in command]


def first_failure(project: Project, commands: list[str]) -> str:
    """Run commands of the project's CI, and return the first one that fails."""
    env = {
        "DATABASE_URL": url_text(project.url),
        "TEST_DATABASE_URL": url_text(project.url),
    }
    env = environment(**UV_RUNS_HERE | env)
    for command in commands:
        step = ["sh", "-euc", command]
        if subprocess.run(step, cwd=project, env=env, check=False).returncode:
            return command
    return ""


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
    assert re.search(fails_at, first_failure(project, commands))


@pytest.mark.parametrize(
    ("engine", "ci"),
    [
        (ONE_OF_EACH[0], "github"),
        (POSTGRESQL, "github"),
        (POSTGRESQL, "gitlab"),
        (ONE_OF_EACH[2], "gitlab"),
    ],
    ids=str,
)
def test_ci_passes_on_a_new_project(new: New, engine: Engine, ci: str) -> None:
    project = new(Variant(engine, example="tour", ci=ci))
    project.commit()
    assert first_failure(project, ci_commands(project)) == ""
