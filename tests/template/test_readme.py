"""The commands of the generated README work as written."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from support import layout, owners
from support.commands import UV_RUNS_HERE, run, script
from support.databases import url_text
from support.projects import New, Project, Render
from support.revisions import revision_of
from support.variants import (
    ENGINE_OF,
    FEATURES,
    INSTALLED,
    ONE_OF_EACH,
    PAIRWISE,
    POSTGRESQL,
    ROOMS,
    SEVERAL,
    TENANTS,
    Variant,
)

MODEL = """\
from sqlalchemy.orm import Mapped, mapped_column

from {base} import Base


class Cape(Base):
    \"\"\"What a hero wears.\"\"\"

    __tablename__ = "capes"

    id: Mapped[int] = mapped_column(primary_key=True)
"""

# What the test cannot run: there is no Docker here, copier update, pre-commit, lines of revisions,
# renames and squashing have tests of their own.
ELSEWHERE = re.compile(
    r"docker |uvx |.* revision .*--head |.* -x rename=|.* squash REVISION"
)

# uv runs a command in the same way whatever the project's answers are. So it is asked once for
# each text: the READMEs of these have all of them.
THROUGH_UV = [
    Variant(POSTGRESQL, example="tour"),
    Variant(POSTGRESQL, migrations_in_package=True),
]

# The tour has every command; what they do differs by the database. Drivers have tests of their own.
TOURS = [
    next(
        variant
        for variant in PAIRWISE
        if variant.engine == engine and variant.example == "tour"
    )
    for engine in [*ONE_OF_EACH, ENGINE_OF["postgresql-asyncpg-async"]]
]


# Two names of the kit's commands, which are the same.
MODULE, FOLDER = "python -m my_app.migrations", "python migrations"


def commands_of(project: Project) -> list[str]:
    """Return the shell commands of README and details, in blocks and in `code`, in their order."""
    pages = project.read("README.md") + project.read("docs/migrations.md")
    found = re.findall(
        r"```shell\n(.*?)```|`((?:uv run|uvx) [^`]+)`",
        pages.replace("\\\n", ""),
        re.DOTALL,
    )
    commands = [line for block, code in found for line in (block or code).splitlines()]
    once = dict.fromkeys(commands)
    return [command for command in once if not ELSEWHERE.match(command)]


def leads_to_database(command: str) -> bool:
    """Tell a command that does something else with another database."""
    return bool(re.search(r"alembic|pytest| ready$", command))


def through_uv(project: Project, command: str, env: dict[str, str]) -> str:
    """Run a command as it is written."""
    return run("sh", "-euc", command, cwd=project, env=UV_RUNS_HERE | env)


def without_uv(project: Project, command: str, env: dict[str, str]) -> str:
    """Run the program that uv would run."""
    env, (_, _, program, *arguments) = dict(env), shlex.split(command)
    if program == "--env-file":
        lines = [line.split("=", 1) for line in shlex.split(project.read(arguments[0]))]
        env = {line[0]: line[1] for line in lines if len(line) == 2} | env
        del arguments[0]
    if program in {"--env-file", "--no-dev"}:
        program, *arguments = arguments
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if program in {"alembic", "pytest", "python"}:
        return project.run(program, *arguments, elsewhere=True, env=env)
    return run(script(program), *arguments, cwd=project, env=project.env | env)


def follow(project: Project, variant: Variant, asked: Sequence[str] = ()) -> None:
    """Run the README's commands in their order, as somebody who adds a model would.

    Args:
        project: a new one.
        variant: what it was made of.
        asked: the commands that uv runs. Where it runs none, what is the same on each database,
            such as `ruff check`, is left to a project where it does.
    """
    project.commit()
    env = {}
    if variant.engine.server:
        url = url_text(project.url)
        env = {"DATABASE_URL": url, "TEST_DATABASE_URL": url}
    project.write(".env", project.read(".env.example"))
    commands = commands_of(project)
    draw = f"uv run python {layout.command('draw', variant.migrations)}"
    assert draw in commands
    if asked:
        project.kit("draw --check")
    else:
        commands = [
            command
            for command in commands
            if leads_to_database(command) or "rebase" in command
        ]

    ran = []
    for command in commands:
        if command.endswith("--sql") and not variant.engine.server:
            continue  # SQLite's batch operations need a database to look at
        if "revision --autogenerate" in command:
            base = "models.base" if variant.base_location == "models" else "base"
            cape = MODEL.format(base=f"my_app.{base}")
            project.write(f"{variant.package}/models/cape.py", cape)
        typed = command
        if "rebase" in command:
            typed = command.replace("YOUR_REVISION", second_head(project, variant))
        perform = through_uv if command in asked else without_uv
        output = perform(project, typed, env)
        ran.append(command)
        if "revision --autogenerate" in command:
            assert "create_table" in project.revision("add_capes").read_text()
            without_uv(project, "uv run alembic upgrade head", env)
        if command == "uv run mypy":
            assert "Success: no issues found" in output
    assert len(ran) > 12
    heads = without_uv(project, "uv run alembic heads", env)
    assert len(re.findall(r"\(head\)", heads)) == 1


def second_head(project: Project, variant: Variant) -> str:
    """Let somebody else add a revision beside the one that is there; return the latter."""
    cape = project.revision("add_capes")
    mine = revision_of(cape)
    theirs = cape.read_text().replace(mine, "0123456789ab").replace("capes", "boots")
    cape.with_name("2026_03_01_0000-0123456789ab_add_boots.py").write_text(theirs)
    models = f"{variant.package}/models"
    model = project.read(f"{models}/cape.py")
    model = model.replace("capes", "boots").replace("Cape", "Boots")
    project.write(f"{models}/boots.py", model)
    return mine


@pytest.mark.parametrize("variant", TOURS, ids=str)
def test_commands_of_the_readme_work(new: New, variant: Variant) -> None:
    follow(new(variant), variant)


def test_each_command_of_a_readme_is_run(render: Render) -> None:
    """What leads to a database, on each of its kinds; each text, by uv."""
    typed = {
        variant: commands_of(Project(render(variant)))
        for variant in {*PAIRWISE, *THROUGH_UV}
    }
    by_uv = {command for variant in THROUGH_UV for command in typed[variant]}
    on_database = {
        (command.replace(MODULE, FOLDER), kind(variant))
        for variant in [*TOURS, *THROUGH_UV]
        for command in filter(leads_to_database, typed[variant])
    }
    for variant in PAIRWISE:
        for command in typed[variant]:
            assert command in by_uv
            assert (
                not leads_to_database(command)
                or (command.replace(MODULE, FOLDER), kind(variant)) in on_database
            )


def kind(variant: Variant) -> str:
    """Return the database of a variant; MySQL's is tested on MariaDB."""
    return variant.engine.database.replace("mysql", "mariadb")


@pytest.mark.parametrize("variant", THROUGH_UV, ids=str)
def test_commands_of_the_readme_work_through_uv(new: New, variant: Variant) -> None:
    """Each text once."""
    project = new(variant)
    before: set[str] = set()
    for other in THROUGH_UV[: THROUGH_UV.index(variant)]:
        before |= set(commands_of(new(other)))
    asked = [command for command in commands_of(project) if command not in before]
    follow(project, variant, asked)


def test_pip_installs_the_project(render: Render) -> None:
    """The README's other way to start, with an environment of its own."""
    project = render()
    readme = (project / "README.md").read_text(encoding="utf-8")
    [install] = re.findall(r"`(pip install [^`]*)`", readme)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    commands = "\n".join(
        [
            "python -m venv .venv && . .venv/bin/activate",
            "pip install --quiet --upgrade pip",
            *(install, "alembic upgrade head", "alembic check", "pytest -q"),
        ]
    )
    env = {"PATH": path, "VIRTUAL_ENV": "", "PYTHONPATH": ""}
    output = run("bash", "-euc", commands, cwd=project, env=env)
    assert "7 passed" in output
    shutil.rmtree(project / ".venv")


def test_deploy_needs_no_development_tools(render: Render) -> None:
    """`uv run --no-dev` installs the project without its development group, and migrates."""
    project = render()
    env = {"VIRTUAL_ENV": "", "UV_LINK_MODE": "copy", "PYTHONPATH": ""}
    run(
        *(script("uv"), "run", "--no-dev", "alembic", "upgrade", "head"),
        cwd=project,
        env=env,
    )
    assert not list((project / ".venv").glob("lib/python*/site-packages/pytest"))
    shutil.rmtree(project / ".venv")


@pytest.mark.parametrize(
    "answers",
    [
        {"example": "tour", "features": ["branches", "testing", "diagram"]},
        {"base_location": "module", "ci": "gitlab", "tenants": "database"},
        {"more_databases": {"analytics": "sqlite+pysqlite:///analytics.db"}},
    ],
    ids=str,
)
def test_table_of_owners_is_what_copier_does(
    render: Render, answers: dict[str, Any]
) -> None:
    """A file is written once if, and only if, it is yours; each that the table names is there."""
    project = render(**answers)
    once = owners.owned_by_user()
    for path in project.rglob("*"):
        name = path.relative_to(project).as_posix()
        if path.is_file() and not name.endswith(".gitkeep"):
            assert (owners.owner_of(name) == "you") == once.match_file(name), name
    readme = (project / "README.md").read_text(encoding="utf-8")
    [table] = re.findall(r"\| owner \|.*?\n\n", readme, re.DOTALL)
    named = re.findall(r"`([^ `]*[/.][^ `]*)`", re.sub(r"\(not .*?\)", "", table))
    assert len(named) > 12
    assert [name for name in named if not (project / name).exists()] == []


def test_readme_of_a_new_project_fits_on_a_screen_and_a_half(render: Render) -> None:
    """A server, another database and a further feature bring a line or a section."""
    default = Variant(features=FEATURES["default"])
    assert length(render(default)) <= 75
    for variant in [*ROOMS, *TENANTS[:2], *INSTALLED[:2]]:
        if not variant.existing:
            assert length(render(variant)) <= 85, variant
    assert length(render(SEVERAL[0])) <= 100


def length(project: Path) -> int:
    return (project / "README.md").read_text(encoding="utf-8").count("\n")


ADDS = r"(?s)Before your first deployment, add `lint`.*?```\n\n|This adds `.*?```\n\n"


@pytest.mark.parametrize(
    "variant", [v for v in ROOMS if not v.existing] + TENANTS[:2], ids=str
)
def test_a_project_tells_of_its_rooms_and_of_no_other(
    render: Render, variant: Variant
) -> None:
    project = render(variant)
    told = ""
    for path in sorted(project.rglob("*")):
        kept = {"migration_kit", "tests", "src", "versions"}.isdisjoint(path.parts)
        if path.is_file() and kept and path.name != ".copier-answers.yml":
            told += path.read_text(encoding="utf-8")
    told = re.sub(ADDS, "", told)
    told = re.sub(r"(?m)^lint\.|hooks = .*|`protected` .*", "", told)
    for room, pattern in layout.OF_ROOMS.items():
        found = re.search(pattern, told)
        there = room != "security" or variant.engine.database == "postgresql"
        assert bool(found) == (room in variant.rooms and there), f"{room}: {found}"


def test_links_of_the_pages_lead_somewhere(render: Render) -> None:
    for variant in [*ROOMS, *TENANTS[:2], SEVERAL[0]]:
        if variant.existing:
            continue
        project = render(variant)
        for page in [project / "README.md", *(project / "docs").glob("*.md")]:
            for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
                if link.startswith("https://"):
                    continue
                path, _, anchor = link.partition("#")
                target = page.parent / path if path else page
                assert target.exists(), f"{variant}: {page.name}: {link}"
                headings = re.findall(r"(?m)^#+ (.*)$", target.read_text("utf-8"))
                anchors = {
                    re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-")
                    for h in headings
                }
                assert not anchor or anchor in anchors, (
                    f"{variant}: {page.name}: {link}"
                )
