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

import readme
from _ext import questions
from support import history, releases
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


@pytest.mark.parametrize("version", releases.archived())
def test_archive_holds_a_template(version: str, tmp_path: Path) -> None:
    releases.unpack(version, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"copier.yml", "template"} <= names <= set(releases.PARTS)


def readme_commands(pattern: str, page: str = "README.md") -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found: list[str] = re.findall(pattern, text, re.MULTILINE)
    return found


def shell(command: str, cwd: Path, **env: str) -> str:
    """Run a command as it is written; uv is there already."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return run(
        "sh", "-euc", command, cwd=cwd, env={"PATH": path, "VIRTUAL_ENV": ""} | env
    )


@pytest.mark.parametrize("source", ["clone", "address"])
def test_project_of_the_readme_can_be_updated(tmp_path: Path, source: str) -> None:
    """Copy, commit, a new tag, check-update, update: the commands of the pages, in their order."""
    repository = tmp_path / "copier-alembic"
    history.build_history(repository)
    if source == "clone":
        [command] = readme_commands(r"^pip install uv && (uvx copier copy .*)$")
        shell(command, repository)
        assert (tmp_path / "my-app" / "my_app.db").exists()
    else:
        [command] = readme_commands(r"^(uvx copier copy gh:.*)$")
        address = f"git+file://{repository}"
        command = command.replace("gh:OWNER/copier-alembic", f"--defaults {address}")
        shell(command, tmp_path)
    project = tmp_path / "my-app"
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert answers["_src_path"] == (str(repository) if source == "clone" else address)
    assert answers["project_name"] == "My App"
    assert answers["_commit"] == history.NOW
    history.git(project, "init", "--quiet")
    history.commit(project, "Start")

    assert "up-to-date" in shell("uvx copier check-update", project)
    readme = repository / "template/README.md.jinja"
    readme.write_text(readme.read_text().replace("## Every day", "## Each day"))
    history.release(repository, history.NEXT)
    assert "999.1.0" in shell("uvx copier check-update", project)
    update, *_ = readme_commands(r"^(uvx copier update.*)$", "docs/how-to/update.md")
    shell(update, project)
    assert history.git(project, "diff", "--name-only").split() == [
        ".copier-answers.yml",
        "README.md",
    ]


def test_readme_needs_no_tag(template: Path, tmp_path: Path) -> None:
    """A repository without one is read at HEAD, and the next commit is an update."""
    repository = tmp_path / "copier-alembic"
    shutil.copytree(template, repository)
    history.git(repository, "init", "--quiet")
    history.commit(repository, "Start")
    project = tmp_path / "my-app"
    copy = (script("copier"), "copy", "--defaults", ".", project)
    assert "No git tags found in template; using HEAD" in run(*copy, cwd=repository)
    history.git(project, "init", "--quiet")
    history.commit(project, "Start")
    history.commit(repository, "Next")
    output = run(script("copier"), "check-update", cwd=project)
    assert "latest version is 0.0.0.post2" in output
    run(script("copier"), "update", "--defaults", cwd=project)


def test_readme_is_short() -> None:
    """A visitor reads it whole, and the site has the rest."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    # Words of code and tables count, targets of links do not.
    shown = re.sub(r"<!--.*?-->|\]\([^)]*\)", " ", text)
    assert len([word for word in shown.split() if re.search(r"\w", word)]) <= 900


def test_page_of_questions_has_every_question() -> None:
    text = (ROOT / "copier.yml").read_text(encoding="utf-8")
    found = next(yaml.safe_load_all(text))  # the other document has derived values
    asked = [
        name
        for name, question in found.items()
        if not name.startswith("_") and question.get("when") is not False
    ]
    assert re.findall(r"^### `(\w+)`", questions.markdown(), re.MULTILINE) == asked


def test_tables_of_the_readme_are_up_to_date() -> None:
    """Lines are those of a render, owners and figures have one source: `python docs/readme.py`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.written(text) == text
    assert readme.written(text.replace("| 0 of 24 |", "| 1 of 24 |")) == text
    with pytest.raises(LookupError, match="features"):
        readme.written("")
