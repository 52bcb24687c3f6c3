"""The commands of the generated README work as written."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from support.commands import UV_RUNS_HERE, run, script
from support.databases import url_text
from support.history import commit, git
from support.layout import command as command_of
from support.projects import Database, Render
from support.variants import PAIRWISE, Variant

MODEL = """\
from sqlalchemy.orm import Mapped, mapped_column

from {base} import Base


class Cape(Base):
    \"\"\"What a hero wears.\"\"\"

    __tablename__ = "capes"

    id: Mapped[int] = mapped_column(primary_key=True)
"""

# What the test cannot run: there is no Docker here, copier update and pre-commit have tests of
# their own, and pip has one below.
ELSEWHERE = re.compile(r"docker |uvx |python -m venv|\. \.venv|pip install")


def commands_of(readme: str) -> list[str]:
    """Return the shell commands of a README, in fenced blocks and in `code`, in its order."""
    found = re.findall(
        r"```shell\n(.*?)```|`((?:uv run|uvx) [^`]+)`", readme, re.DOTALL
    )
    commands = [line for block, code in found for line in (block or code).splitlines()]
    return [command for command in commands if not ELSEWHERE.match(command)]


def shell(project: Path, command: str, env: dict[str, str]) -> str:
    return run("sh", "-euc", command, cwd=project, env=env)


@pytest.mark.parametrize("variant", PAIRWISE, ids=str)
def test_commands_of_the_readme_work(
    render: Render,
    database: Database,
    variant: Variant,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """In the order of the README, by somebody who adds a model before the revision."""
    project = render(variant)
    git(project, "init", "--quiet")
    commit(project, "start")
    cache = tmp_path_factory.getbasetemp() / "mypy"
    env = UV_RUNS_HERE | {"MYPY_CACHE_DIR": str(cache)}
    if variant.engine.server:
        url = url_text(database(variant.engine.database, variant.engine.driver))
        env |= {"DATABASE_URL": url, "TEST_DATABASE_URL": url}
    (project / ".env").write_text((project / ".env.example").read_text())
    commands = commands_of((project / "README.md").read_text(encoding="utf-8"))
    assert f"uv run python {command_of('draw', variant.migrations)}" in commands
    shell(
        project, f"uv run python {command_of('draw --check', variant.migrations)}", env
    )

    ran = []
    for command in commands:
        if command.endswith("--sql") and not variant.engine.server:
            continue  # SQLite's batch operations need a database to look at
        if "revision --autogenerate" in command:
            base = "models.base" if variant.base_location == "models" else "base"
            cape = project / variant.package / "models/cape.py"
            cape.write_text(MODEL.format(base=f"my_app.{base}"))
        if "rebase" in command:
            command = command.replace("YOUR_REVISION", second_head(project, variant))
        ran.append(command)
        output = shell(project, command, env)
        if "revision --autogenerate" in command:
            [revision] = (project / variant.migrations).glob("versions/*_add_capes.py")
            assert "create_table" in revision.read_text()
            shell(project, "uv run alembic upgrade head", env)
        if command == "uv run mypy":
            assert "Success: no issues found" in output
    assert len(ran) > 15
    heads = shell(project, "uv run alembic heads", env)
    assert len(re.findall(r"\(head\)", heads)) == 1


def second_head(project: Path, variant: Variant) -> str:
    """Let somebody else add a revision beside the one that is there; return the latter."""
    [cape] = (project / variant.migrations).glob("versions/*_add_capes.py")
    source = cape.read_text()
    mine = cape.name.split("-")[1].split("_")[0]
    theirs = source.replace(mine, "0123456789ab").replace("capes", "boots")
    cape.with_name("2026_03_01_0000-0123456789ab_add_boots.py").write_text(theirs)
    boots = project / variant.package / "models/boots.py"
    cape_model = (project / variant.package / "models/cape.py").read_text()
    boots.write_text(cape_model.replace("capes", "boots").replace("Cape", "Boots"))
    return mine


def test_pip_installs_the_project(render: Render) -> None:
    """The README's other way to start, with an environment of its own."""
    project = render()
    readme = (project / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```shell\n(python -m venv .*?)```", readme, re.DOTALL)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    block = block.replace(
        "bin/activate\n", "bin/activate\npip install --quiet --upgrade pip\n"
    )
    commands = f"{block}\nalembic upgrade head\nalembic check\npytest -q\nmypy"
    env = {"PATH": path, "VIRTUAL_ENV": "", "PYTHONPATH": ""}
    output = run("bash", "-euc", commands, cwd=project, env=env)
    assert "7 passed" in output
    shutil.rmtree(project / ".venv")


def test_deploy_needs_no_development_tools(render: Render) -> None:
    """`uv run --no-dev` installs the project without its development group, and migrates."""
    project = render()
    env = {"VIRTUAL_ENV": "", "UV_LINK_MODE": "copy", "PYTHONPATH": ""}
    run(
        script("uv"),
        "run",
        "--no-dev",
        "alembic",
        "upgrade",
        "head",
        cwd=project,
        env=env,
    )
    assert not list((project / ".venv").glob("lib/python*/site-packages/pytest"))
    shutil.rmtree(project / ".venv")
