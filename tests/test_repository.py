"""The repository keeps its own promises."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from support import releases
from support.commands import run, script
from support.releases import ROOT

WORKFLOW = ".github/workflows/ci.yml"


def test_workflow_is_valid_and_safe() -> None:
    run(
        script("check-jsonschema"),
        "--builtin-schema",
        "vendor.github-workflows",
        WORKFLOW,
        cwd=ROOT,
    )
    run(script("zizmor"), "--offline", WORKFLOW, cwd=ROOT)


def test_code_is_formatted_linted_and_typed() -> None:
    run(script("ruff"), "format", "--check", cwd=ROOT)
    run(script("ruff"), "check", cwd=ROOT)
    run(sys.executable, "-m", "mypy", cwd=ROOT)


def test_tools_are_pinned_exactly() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for group in pyproject["dependency-groups"].values():
        for requirement in group:
            if isinstance(requirement, str):
                assert re.match(r"[\w.\[\]-]+==[\w.]+(;|$)", requirement), requirement


def test_releases_are_archived() -> None:
    version = releases.versions()[-1]
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert pyproject["project"]["version"] == version
    archives = {
        path.name.removesuffix(".tar.gz") for path in releases.ARCHIVES.glob("*")
    }
    assert archives == set(releases.versions())


@pytest.mark.parametrize("version", releases.versions())
def test_archive_holds_a_template(version: str, tmp_path: Path) -> None:
    releases.unpack(version, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"copier.yml", "template"} <= names <= set(releases.PARTS)


def test_readme_command_scaffolds_and_migrates(template: Path, tmp_path: Path) -> None:
    """The first command of the README, in an empty folder; uv is there already."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [command] = re.findall(
        r"^pip install uv && (uvx copier copy .*)$", readme, re.MULTILINE
    )
    clone = tmp_path / "copier-alembic"
    shutil.copytree(template, clone)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    run("sh", "-c", command, cwd=clone, env={"PATH": path, "VIRTUAL_ENV": ""})
    assert (tmp_path / "my-app" / "my_app.db").exists()


def test_readme_names_every_question() -> None:
    text = (ROOT / "copier.yml").read_text(encoding="utf-8")
    questions = next(yaml.safe_load_all(text))  # the other document has derived values
    asked = [
        name
        for name, question in questions.items()
        if not name.startswith("_") and question.get("when") is not False
    ]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE) == asked
