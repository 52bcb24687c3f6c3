"""The owner's own tools read nothing of the kit, and find the owner's mistakes as ever."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from support.commands import run, script
from support.projects import Project, Render
from support.releases import ROOT
from support.variants import FEATURES, POSTGRESQL, Variant

DEFAULT = Variant(features=FEATURES["default"])

# What each tool would report in the kit, and in the owner's own file.
MISTAKES = """
import subprocess


def mistake(x) -> int:
    subprocess.call(x, shell=True)
    return  "text"
"""

MODELS = """\
\"\"\"Tables.\"\"\"

from sqlalchemy import MetaData

metadata = MetaData()
"""


def default_project(render: Render) -> Project:
    return Project(render(DEFAULT))


def all_rooms_in_the_package(render: Render) -> Project:
    variant = Variant(POSTGRESQL, migrations_in_package=True)
    folder = "src/my_app/changes"
    return Project(render(variant, migrations_dir="changes"), migrations=folder)


def adopted_project(render: Render) -> Project:
    """An existing project, whose owner has written what the message says into pyproject.toml."""
    variant = Variant(base_location="existing", example="none")
    answers = {"base_import": "shop.tables:metadata", "migrations_dir": "shop/alembic"}
    project = Project(
        render(variant, source_dir="root", **answers), migrations="shop/alembic"
    )
    project.write("shop/__init__.py", "")
    project.write("shop/tables.py", MODELS)
    project.write("pyproject.toml", adopt_page_settings("shop/alembic"))
    project.edit("pyproject.toml", "[tool.mypy]\n", "[tool.mypy]\nstrict = true\n")
    return project


def adopt_page_settings(migrations: str) -> str:
    """Return the block of docs/how-to/adopt.md for pyproject.toml."""
    page = (ROOT / "docs/how-to/adopt.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```toml\n( +\[tool\.ruff\]\n.*?)```", page, re.DOTALL)
    return dedent(block).replace('"migrations"', f'"{migrations}"')


PROJECTS = [default_project, all_rooms_in_the_package, adopted_project]


@pytest.fixture(params=PROJECTS, ids=lambda make: make.__name__)
def project(request: pytest.FixtureRequest, render: Render) -> Project:
    """A project with mistakes in a module of the kit, and the same in one of its owner."""
    make: Callable[[Render], Project] = request.param
    project = make(render)
    project.write(f"{project.migrations}/migration_kit/mistake.py", MISTAKES)
    project.write(f"{project.migrations}/mistake.py", MISTAKES)
    entrance = project / f"{project.migrations}/migration_kit/environment.py"
    text = entrance.read_text(encoding="utf-8")
    entrance.write_text(text + MISTAKES, encoding="utf-8")
    env = f"{project.migrations}/env.py"
    project.write(env, re.sub(r"package=\".*\"", "package=3", project.read(env)))
    return project


def files_named(output: str) -> set[str]:
    """Return the Python files that a tool reports, without their folders."""
    return {Path(path).name for path in re.findall(r"[\w./\\-]+\.py\b", output)}


def test_ruff_leaves_the_kit_alone(project: Project) -> None:
    ruff = (script("ruff"), "check", "--no-cache", "--select", "ALL", "--quiet")
    output = run(*ruff, "--output-format", "concise", cwd=project, fails=True)
    assert "mistake.py" in files_named(output)
    assert "migration_kit" not in output
    output = run(
        script("ruff"), "format", "--check", "--no-cache", cwd=project, fails=True
    )
    assert "mistake.py" in files_named(output)
    assert "migration_kit" not in output


def test_ruff_leaves_a_file_alone_that_pre_commit_names(project: Project) -> None:
    kit = f"{project.migrations}/migration_kit/environment.py"
    for command in (["check", "--select", "ALL"], ["format", "--check"]):
        run(script("ruff"), *command, "--no-cache", kit, cwd=project)


def test_mypy_reports_nothing_in_the_kit_and_knows_its_types(project: Project) -> None:
    folders = [] if (project / "src").exists() else ["."]
    output = run(script("mypy"), *folders, cwd=project, fails=True)
    assert files_named(output) == {"mistake.py", "env.py"}
    assert "migration_kit" not in output
    assert 'Argument "package" to "run" has incompatible type "int"' in output
    [checked] = re.findall(r"checked (\d+) source file", output)
    own = [
        path for path in project.path.rglob("*.py") if "migration_kit" not in path.parts
    ]
    assert int(checked) == len(own)


def test_pyright_reports_nothing_in_the_kit_and_knows_its_types(
    project: Project,
) -> None:
    output = run(script("pyright"), cwd=project, fails=True)
    assert {"mistake.py", "env.py"} <= files_named(output)
    assert "migration_kit" not in output
    assert 'cannot be assigned to parameter "package"' in output


def test_bandit_leaves_the_kit_alone(project: Project) -> None:
    bandit = (script("bandit"), "-q", "-r", ".", "-f", "custom")
    template = ("--msg-template", "{relpath} {test_id}")
    output = run(*bandit, *template, cwd=project, fails=True)
    assert "migration_kit" in output
    settings = ("-c", "pyproject.toml")
    output = run(*bandit, *template, *settings, cwd=project, fails=True)
    assert "mistake.py B602" in output
    assert "migration_kit" not in output


@pytest.mark.parametrize("make", [default_project, adopted_project])
def test_coverage_leaves_the_kit_out(render: Render, make: Any) -> None:
    project = make(render)
    pytest_ = ("-m", "pytest", "-q", "-p", "no:copie", "-p", "no:xdist")
    paths = (
        f"src:{project.migrations}"
        if (project / "src").exists()
        else f".:{project.migrations}"
    )
    coverage = script("coverage")
    env = {"PYTHONPATH": paths}
    run(coverage, "run", *pytest_, cwd=project, env=env)
    report = run(coverage, "report", cwd=project)
    assert "env.py" in report
    assert "migration_kit" not in report


@pytest.mark.parametrize("make", PROJECTS[:2])
def test_reviews_fold_the_kit(render: Render, make: Any) -> None:
    project = make(render)
    project.commit()
    files = [
        f"{project.migrations}/{name}" for name in ("migration_kit/lock.py", "env.py")
    ]
    output = project.git("check-attr", "linguist-generated", *files)
    assert [line.rpartition(" ")[2] for line in output.splitlines()] == [
        "set",
        "unspecified",
    ]


def test_an_adopted_project_is_told_the_same_twice(
    render: Render, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the copy, and on the page; each line does in a new project what it does there."""
    render(Variant(base_location="existing", example="none"))
    message = capsys.readouterr().err
    [told] = re.findall(
        r"^    \[tool\.ruff\]\n.*?(?=^\S)", message, re.DOTALL | re.MULTILINE
    )
    settings = tomllib.loads(adopt_page_settings("migrations"))
    assert tomllib.loads(told) == settings
    new = tomllib.loads(
        (render(DEFAULT) / "pyproject.toml").read_text(encoding="utf-8")
    )
    # A new project says which folders pyright reads; without that, `exclude` would bring .venv.
    folders = settings["tool"]["pyright"].pop("ignore")
    assert new["tool"]["pyright"]["exclude"] == folders
    for tool, values in settings["tool"].items():
        for name, value in values.items():
            there = new["tool"][tool][name]
            assert value == there or set(value) <= set(there), f"{tool}.{name}"


def test_an_installed_kit_needs_no_settings(render: Render) -> None:
    project = render(Variant(features=FEATURES["default"], kit="installed"))
    assert not (project / ".gitattributes").exists()
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    assert "migration_kit" not in text
    assert "bandit" not in text
    shutil.rmtree(project)
