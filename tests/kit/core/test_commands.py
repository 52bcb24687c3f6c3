"""`python migrations COMMAND`: one entry, which works from any folder and finds its alembic.ini."""

from __future__ import annotations

import json
import shutil
from configparser import RawConfigParser
from pathlib import Path

import pytest

from support import fork
from support.commands import environment
from support.projects import New, Project
from support.variants import ENGINE_OF, Variant

POSTGRESQL = ENGINE_OF["postgresql-psycopg-sync"]
DRAWN = ["autogenerate", "branches", "testing", "diagram"]


def call(project: Project, *words: str, cwd: str = ".", fails: bool = False) -> str:
    """Run Python in a folder of the project, as its owner would."""
    env = environment(PYTHONPATH=str(project / "src"), COLUMNS="80")
    process = fork.start(("python", *words), project / cwd, env)
    output = process.finish()
    assert bool(process.returncode) == fails, output
    return output


@pytest.mark.parametrize(
    ("in_package", "cwd", "words"),
    [
        (False, ".", ["migrations"]),
        (False, "src/my_app", ["../../migrations"]),
        (False, "migrations", ["."]),
        (True, ".", ["-m", "my_app.migrations"]),
        (True, "docs", ["-m", "my_app.migrations"]),
        (True, "docs", ["../src/my_app/migrations"]),
    ],
)
def test_commands_work_from_any_folder(
    new: New, in_package: bool, cwd: str, words: list[str]
) -> None:
    project = new(Variant(migrations_in_package=in_package), features=DRAWN)
    project.write(f"{project.migrations}/HEAD", "another\n")
    assert call(project, *words, "head", cwd=cwd) == ""
    assert project.head() == "4f1c8a2d7b3e\n"
    assert call(project, *words, "draw", "--check", cwd=cwd) == ""
    drawn = project.read("docs/schema.md")
    call(project, *words, "draw", cwd=cwd)
    assert project.read("docs/schema.md") == drawn


@pytest.mark.parametrize("variant", [Variant(), Variant(POSTGRESQL)], ids=str)
def test_help_names_the_commands_that_the_project_has(
    new: New, variant: Variant
) -> None:
    project = new(variant, features=["branches", "lint"])
    output = call(project, "migrations", "--help")
    assert output.startswith("usage: python migrations [-h]")
    for command in ("head", "rebase", "lint"):
        assert f"\n    {command} " in output
    assert "\n    draw " not in output
    assert max(map(len, output.splitlines())) <= 80


def test_help_of_migrations_in_the_package_names_their_module(new: New) -> None:
    project = new(Variant(migrations_in_package=True))
    output = call(project, "-m", "my_app.migrations", "--help")
    assert output.startswith("usage: python -m my_app.migrations [-h]")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["rebase"], "the following arguments are required: revision"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_wrong_command_is_refused_in_one_line(
    new: New, arguments: list[str], message: str
) -> None:
    output = call(new(), "migrations", *arguments, fails=True)
    assert message in output.splitlines()[-1]


def test_missing_alembic_ini_is_named(new: New) -> None:
    project = new()
    (project / "alembic.ini").unlink()
    output = call(project, "migrations", "head", fails=True)
    path = project / "alembic.ini"
    assert output == f"FAILED: no file {path}. Use `--config FILE`\n"


def test_another_alembic_ini_can_be_named(new: New) -> None:
    project = new()
    (project / "alembic.ini").rename(project / "other.ini")
    project.write("migrations/HEAD", "another\n")
    call(project, "migrations", "--config", "other.ini", "head")
    assert project.head() == "4f1c8a2d7b3e\n"


def test_revision_writes_head_where_the_path_has_spaces(
    new: New, tmp_path: Path
) -> None:
    project = new()
    folder = tmp_path / "my projects" / "the app"
    shutil.copytree(project, folder)
    moved = Project(folder)
    moved.alembic("revision", "-m", "first")
    assert moved.head().strip() in moved.revision("first").name


@pytest.mark.parametrize("name", ["versions", "head", "commands", "environment", "kit"])
def test_package_may_be_called_like_a_module_of_the_kit(new: New, name: str) -> None:
    """The kit's modules have its package before them, so nothing hides anything."""
    project = new(package_name=name, migrations_in_package=name == "head")
    project.migrations = f"src/{name}/migrations" if name == "head" else "migrations"
    for command in (["upgrade", "head"], ["check"], ["revision", "-m", "next"]):
        project.alembic(*command)
    assert project.head().strip() in project.revision("next").name


def test_settings_may_stand_in_pyproject_toml(new: New) -> None:
    """As Alembic reads them there; the URL and the logging stay in alembic.ini."""
    project = new(features=DRAWN)
    ini = RawConfigParser()
    ini.read_string(project.read("alembic.ini"))
    moved = dict(ini["alembic"])
    url, separator = moved.pop("sqlalchemy.url"), moved.pop("path_separator")
    assert separator == "os"
    paths = moved.pop("prepend_sys_path")
    hooks = dict(ini["post_write_hooks"])
    ini["alembic"] = {"sqlalchemy.url": url}
    del ini["post_write_hooks"]
    with (project / "alembic.ini").open("w") as file:
        ini.write(file)
    lines = ["", "[tool.alembic]", f"prepend_sys_path = [{json.dumps(paths)}]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in moved.items()]
    for hook in hooks.pop("hooks").split(", "):
        lines += ["", "[[tool.alembic.post_write_hooks]]", f'name = "{hook}"']
        settings = {name.removeprefix(f"{hook}."): hooks[name] for name in hooks}
        lines += [
            f"{name} = {json.dumps(value)}"
            for name, value in settings.items()
            if "." not in name
        ]
    text = project.read("pyproject.toml") + "\n".join(lines) + "\n"
    project.write("pyproject.toml", text)

    assert call(project, "migrations", "draw", "--check") == ""
    assert "passed" in project.own_tests()
    project.alembic("revision", "-m", "next")
    assert project.head().strip() in project.revision("next").name
    project.alembic("upgrade", "head")
