"""An installed kit is a requirement of the template's commit, and either way is one answer."""

from __future__ import annotations

import configparser
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import copier
import pytest
from jinja2 import DictLoader, Environment
from jinja2_ansible_filters.core_filters import FilterModule
from packaging.requirements import Requirement

from support.history import (
    NEXT,
    NOW,
    build_history,
    commit,
    committed,
    conflicts,
    contents,
    copy,
    git,
    update,
)
from support.releases import ROOT
from support.variants import FEATURES, OLDER, SEVERAL, Variant

INSTALLED = {"kit": "installed"}


def change(repository: Path) -> None:
    """Make the next release, of another commit."""
    (repository / "next").touch()


@pytest.fixture(scope="module")
def history(shared: Path) -> Path:
    repository = shared / "the template"
    build_history(repository, change)
    return repository


def requirement(project: Path) -> Requirement:
    """Return what the project requires the kit from."""
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    dependencies = tomllib.loads(text)["project"]["dependencies"]
    [found] = [text for text in dependencies if text.startswith("migration-kit")]
    return Requirement(found)


def rooms(project: Path) -> str | None:
    ini = configparser.ConfigParser({"here": "."})
    ini.read(project / "alembic.ini", encoding="utf-8")
    return ini.get("alembic", "rooms", fallback=None)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        (Variant(features=FEATURES["default"]), "autogenerate, branches, testing"),
        (Variant(features=()), ""),
        (SEVERAL[3], f"{', '.join(FEATURES['all'])}, databases, adopted"),
    ],
    ids=str,
)
def test_alembic_ini_names_the_rooms(
    history: Path, tmp_path: Path, variant: Variant, expected: str
) -> None:
    copied = copy(history, tmp_path / "copied", variant.answers)
    assert rooms(copied) is None
    installed = copy(history, tmp_path / "installed", variant.answers | INSTALLED)
    assert rooms(installed) == expected


def test_requirement_is_the_commit_of_the_template(
    history: Path, tmp_path: Path
) -> None:
    """Its folder may have a space; pip 23 wants a host, and hatchling to be asked."""
    project = copy(history, tmp_path / "project", INSTALLED)
    found = requirement(project)
    folder = history.as_posix().replace(" ", "%20")
    at = git(history, "rev-parse", f"{NOW}^{{commit}}").strip()
    assert found.url == f"git+file://localhost{folder}@{at}"
    pyproject = tomllib.loads((project / "pyproject.toml").read_text())
    assert pyproject["tool"]["hatch"]["metadata"] == {"allow-direct-references": True}
    url = found.url.removeprefix("git+").rpartition("@")[0]
    git(tmp_path, "clone", "--quiet", url, "clone")
    git(tmp_path / "clone", "cat-file", "-e", at)

    update(project, NEXT)
    assert conflicts(project) == []
    after = git(history, "rev-parse", f"{NEXT}^{{commit}}").strip()
    assert requirement(project).url == f"git+file://localhost{folder}@{after}"


def test_adopted_project_is_told_the_requirement(
    history: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    answers = Variant(base_location="existing").answers | INSTALLED
    copier.run_copy(
        str(history), tmp_path, data=answers, vcs_ref=NOW, defaults=True, overwrite=True
    )
    message = capfd.readouterr().err
    at = git(history, "rev-parse", f"{NOW}^{{commit}}").strip()
    assert re.search(
        rf"uv add .*'migration-kit @ git\+file://localhost/.*@{at}'", message
    )
    assert "[tool.ruff]" not in message  # there is no folder to leave out


# ---------------------------------------------------------------------- Where it is

ADDRESSES = {
    "gh:owner/name": "https://github.com/owner/name",
    "gh:owner/name.git": "https://github.com/owner/name.git",
    "gl:group/sub/name": "https://gitlab.com/group/sub/name",
    "https://git.example.com/name.git": "https://git.example.com/name.git",
    "git+https://git.example.com/name": "https://git.example.com/name",
    "git@git.example.com:owner/name.git": "ssh://git@git.example.com/owner/name.git",
    "ssh://git@git.example.com:22/name": "ssh://git@git.example.com:22/name",
    "git+file:///srv/name": "file://localhost/srv/name",
    "file:///srv/name": "file://localhost/srv/name",
    "/srv/my template": "file://localhost/srv/my%20template",
    "/srv/a@b:c": "file://localhost/srv/a%40b%3Ac",
}


@pytest.mark.parametrize("source", ADDRESSES)
def test_requirement_is_where_copier_finds_the_template(source: str) -> None:
    files = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in (ROOT / "questions").glob("*.jinja")
    }
    jinja = Environment(loader=DictLoader(files), trim_blocks=True, lstrip_blocks=True)
    jinja.filters |= FilterModule().filters()
    macro = "{% from 'questions/kit.jinja' import requirement with context %}"
    rendered = jinja.from_string(f"{macro}{{{{ requirement() }}}}").render(
        _copier_answers={"_src_path": source},
        _copier_conf={"vcs_ref_hash": "1a2b"},
        _external_data={},
    )
    found = Requirement(rendered.strip())
    assert found.url == f"git+{ADDRESSES[source]}@1a2b"


# -------------------------------------------------------------------- Where it cannot


def refusal(template: Path, target: Path, **data: Any) -> str:
    with pytest.raises(ValueError, match="'kit'") as error:
        copier.run_copy(
            str(template), target, data=INSTALLED | data, defaults=True, quiet=True
        )
    line = str(error.value)
    assert "\n" not in line
    assert not target.exists()
    return line


def test_template_without_git_cannot_be_installed(
    template: Path, tmp_path: Path
) -> None:
    assert "answer copied: " in refusal(template, tmp_path / "project")


def test_template_with_changes_cannot_be_installed(tmp_path: Path) -> None:
    """Copier would commit them in its own copy, so that no pip finds the commit."""
    repository = tmp_path / "template"
    repository.mkdir()
    committed(repository)
    git(repository, "tag", "-d", NOW)  # HEAD is what an untagged one is read at
    target = tmp_path / "project"
    copier.run_copy(str(repository), target, data=INSTALLED, defaults=True, quiet=True)
    assert requirement(target)
    shutil.rmtree(target)
    (repository / "new").touch()
    assert "commit your changes to the template first" in refusal(repository, target)


def test_installed_project_stays_so_where_the_template_has_changes(
    tmp_path: Path,
) -> None:
    """An answer that is refused would otherwise give way to the default, in silence."""
    repository = tmp_path / "template"
    repository.mkdir()
    committed(repository)
    project = copy(repository, tmp_path / "project", INSTALLED)
    (repository / "new").touch()
    with pytest.raises(ValueError, match="commit your changes to the template first"):
        update(project, "HEAD")
    assert git(project, "status", "--porcelain") == ""


# ---------------------------------------------------------------- Either way, one answer

LINE = "# my line\n"


@pytest.mark.parametrize("variant", [Variant(), SEVERAL[2], SEVERAL[3]], ids=str)
def test_switch_changes_the_kit_and_nothing_else(
    history: Path, tmp_path: Path, variant: Variant
) -> None:
    project = copy(history, tmp_path / "project", variant.answers)
    for name in ["migrations/env.py", "alembic.ini"]:
        with (project / name).open("a") as file:
            file.write(LINE)
    commit(project, "My work")
    copied = contents(project)
    update(project, kit="installed")
    assert conflicts(project) == []
    installed = contents(project)
    kit = {path for path in copied if path.startswith("migrations/migration_kit/")}
    assert kit
    kit |= {".gitattributes"} & copied.keys()  # it is about the kit alone
    assert installed.keys() == copied.keys() - kit
    different = {path for path in installed if installed[path] != copied[path]}
    expected = {".copier-answers.yml", "alembic.ini", "pyproject.toml"}
    pages = {"README.md", "docs/deployment.md", "docs/migrations.md"}  # name the kit
    assert different - pages == expected & installed.keys()
    commit(project, "Installed")

    update(project, kit="copied")
    assert conflicts(project) == []
    assert contents(project) == copied


def test_first_update_from_2_4_may_install_the_kit(
    history: Path, tmp_path: Path
) -> None:
    answers = {
        name: value for name, value in Variant().answers.items() if name != "kit"
    }
    del answers["features"]
    project = copy(history, tmp_path / "project", answers, "v2.4.0")
    update(project, NOW, kit="installed")
    assert conflicts(project) == []
    assert not (project / "migrations/migration_kit").exists()
    assert rooms(project) == ", ".join(OLDER)
    assert requirement(project)


def test_deleted_room_comes_with_a_copied_kit(history: Path, tmp_path: Path) -> None:
    """An installed kit has no folder, which is no deletion of each room."""
    project = copy(history, tmp_path / "project", INSTALLED)
    update(project, kit="copied")
    names = {path.parent.name for path in project.glob("migrations/*/*/room.py")}
    assert names == set(FEATURES["default"])
