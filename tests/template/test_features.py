"""Features come and go by an answer, or by `rm -r`, and no other file of the owner is touched."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml

from support.commands import run, script
from support.history import (
    NEXT,
    NOW,
    build_history,
    commit,
    conflicts,
    contents,
    copy,
    git,
    update,
)
from support.layout import expected_tree
from support.projects import Render
from support.releases import ROOT
from support.variants import ENGINE_OF, FEATURES, OLDER, SEVERAL, TENANTS, Variant

ALL = list(FEATURES["all"])
DEFAULT = list(FEATURES["default"])
OLD = "v2.4.0"
KIT = "migrations/migration_kit"
POSTGRESQL = Variant(ENGINE_OF["postgresql-psycopg-sync"])


def change(repository: Path) -> None:
    """Make the next release: each room has one more module, and the core one more line."""
    [kit] = repository.glob("template/*/migration_kit")
    for room in kit.glob("*/room.py"):
        room.with_name("more.py").write_text('"""More of it."""\n')
    with (kit / "paths.py").open("a") as core:
        core.write("\n# Next.\n")


@pytest.fixture(scope="module")
def history(shared: Path) -> Path:
    repository = shared / "template"
    build_history(repository, change)
    return repository


def rooms(project: Path, module: str = "room.py") -> set[str]:
    """Return the rooms of the kit that have a module."""
    return {path.parent.name for path in (project / KIT).glob(f"*/{module}")}


def recorded(project: Path) -> Any:
    return yaml.safe_load((project / ".copier-answers.yml").read_text())["features"]


# What the owner writes, each at a place that no feature changes.
LINE = "# my line\n"
EDITS = {
    "README.md": "## Every day\n",
    "alembic.ini": "[loggers]\n",
    "migrations/env.py": "target_metadata = Base.metadata\n",
    "pyproject.toml": "[tool.mypy]\n",
    "src/my_app/engine.py": "    os.environ.get(\n",
    "src/my_app/models/base.py": "class Base(DeclarativeBase):\n",
    "src/my_app/models/hero.py": "class Hero(Base):\n",
}
OWN = ["tests/test_mine.py", "migrations/versions/mine.py", "compose.yaml"]


def work(project: Path) -> dict[str, bytes]:
    """Edit what the template wrote, and write own files; return them all."""
    for path, line in EDITS.items():
        source = (project / path).read_text(encoding="utf-8")
        assert line in source
        (project / path).write_text(source.replace(line, line + LINE, 1))
    for path in OWN:
        (project / path).parent.mkdir(exist_ok=True)
        (project / path).write_text(LINE)
    commit(project, "My work")
    return contents(project)


def assert_work_is_kept(project: Path) -> None:
    assert conflicts(project) == []
    for path in [*EDITS, *OWN]:
        assert LINE in (project / path).read_text(encoding="utf-8"), path


# ------------------------------------------------------------------- A new project


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, DEFAULT),
        ({"database": "mariadb"}, DEFAULT),
        ({"features": ["lint", "backfill"]}, ["lint", "backfill"]),
        ({"features": ["backfill", "lint"]}, ["lint", "backfill"]),
        ({"features": []}, []),
        ({"features": ALL}, ALL),
    ],
)
def test_new_project_has_the_features_of_its_answer(
    history: Path, tmp_path: Path, given: dict[str, Any], expected: list[str]
) -> None:
    project = copy(history, tmp_path / "project", given)
    assert recorded(project) == expected
    assert rooms(project) == set(expected)


def test_copier_takes_a_list_and_no_bare_word(history: Path, tmp_path: Path) -> None:
    """As docs/how-to/switch.md has it: a bare word is a traceback of Copier's own."""
    command: list[str | Path] = [
        script("copier"),
        "copy",
        "--defaults",
        f"--vcs-ref={NOW}",
    ]
    listed = [*command, "--data", "features=[lint, backfill]", history, "listed"]
    run(*listed, cwd=tmp_path)
    assert recorded(tmp_path / "listed") == ["lint", "backfill"]
    bare = [*command, "--data", "features=lint", history, "bare"]
    assert "Not a YAML list: 'lint'" in run(*bare, cwd=tmp_path, fails=True)
    assert not (tmp_path / "bare").exists()


def test_other_answers_bring_their_rooms(render: Render) -> None:
    brought = {"tenants": TENANTS[0], "databases": SEVERAL[0], "adopted": SEVERAL[3]}
    for room, variant in brought.items():
        assert room in rooms(render(variant, features=[]))
        assert room not in rooms(render())
    assert rooms(render(SEVERAL[3], features=[])) == {"databases", "adopted"}


def test_features_and_needs_are_those_of_the_kit() -> None:
    """Copier and `rooms.py` have one table each, for neither can read the other's."""
    [kit] = ROOT.glob("template/*/migration_kit")
    text = (kit / "rooms.py").read_text(encoding="utf-8")
    [table] = re.findall(r"^ROOMS: [^=]+= (\{.*?^\})", text, re.MULTILINE | re.DOTALL)
    rooms_of_kit = ast.literal_eval(table)
    text = (ROOT / "questions/features.jinja").read_text(encoding="utf-8")
    values = {
        name: ast.literal_eval(value)
        for name, value in re.findall(r"set ([A-Z]+) = (.*?) %\}", text)
    }
    assert values["FEATURES"] == ALL
    assert values["DEFAULT"] == DEFAULT
    assert {*values["FEATURES"], *values["BROUGHT"]} == set(rooms_of_kit)
    needs = {room: list(needed) for room, needed in rooms_of_kit.items() if needed}
    assert values["NEEDS"] == needs
    questions = next(yaml.safe_load_all((ROOT / "copier.yml").read_text()))
    choices = questions["features"]["choices"]
    assert list(choices.values()) == ALL
    assert all(label.startswith(f"{name}: ") for label, name in choices.items())


# ----------------------------------------------------------- By an answer, and back


@pytest.mark.parametrize(
    "features",
    [name for name in FEATURES if "testing" in FEATURES[name]] + ["no-feature", "lint"],
)
def test_feature_comes_and_goes_by_an_answer(
    history: Path, tmp_path: Path, features: str
) -> None:
    """Besides the rooms, only the template's lines that are about them change."""
    chosen = list(FEATURES[features])
    project = copy(history, tmp_path / "project", POSTGRESQL.answers)
    work(project)
    if "testing" not in chosen:
        git(project, "rm", "--quiet", "tests/conftest.py")
        commit(project, "Delete")
    before = contents(project)
    update(project, features=chosen)
    assert_work_is_kept(project)
    assert recorded(project) == chosen
    assert rooms(project) == set(chosen)
    deleted = before.keys() - contents(project).keys()
    others = {path for path in deleted if not path.startswith(KIT)}
    assert others <= {".squawk.toml", "tests/test_migrations.py"}
    commit(project, "Fewer")

    update(project, features=ALL)
    assert_work_is_kept(project)
    after = contents(project)
    # A file that you deleted stays away, unless it came with what you add.
    assert before.keys() - after.keys() == set()
    kept = {path for path in before if path.startswith(KIT)} | set(EDITS)
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}


def test_edited_fixtures_do_not_go_with_testing(history: Path, tmp_path: Path) -> None:
    answers = SEVERAL[0].answers | {"example": "tour"}
    project = copy(history, tmp_path / "project", answers)
    names = (
        "conftest",
        "analytics_fixtures",
        "billing_fixtures",
        "test_data_migrations",
    )
    files = [f"tests/{name}.py" for name in names]
    with pytest.raises(
        ValueError, match=f"`git rm {' '.join(files)}`, commit"
    ) as error:
        update(project, features=["branches"])
    assert "\n" not in str(error.value)
    assert git(project, "status", "--porcelain") == ""
    git(project, "rm", "--quiet", *files)
    commit(project, "No fixtures")
    update(project, features=["branches"])
    assert not (project / "tests").exists()


def test_what_is_the_owners_stays_without_its_feature(
    history: Path, tmp_path: Path
) -> None:
    project = copy(history, tmp_path / "project", POSTGRESQL.answers)
    before = contents(project)
    update(project, features=["autogenerate", "testing"])
    after = contents(project)
    for path in ["migrations/HEAD", "docs/schema.md"]:
        assert after[path] == before[path]


# -------------------------------------------------------------------------- By hand


@pytest.mark.parametrize("room", ["branches", "lint", "tenants"])
def test_deleted_room_stays_away(history: Path, tmp_path: Path, room: str) -> None:
    """Also what the next release adds to it, until the answer leaves and comes back."""
    answers = TENANTS[0].answers
    project = copy(history, tmp_path / "project", answers)
    everything = {*ALL, "tenants"}
    assert rooms(project) == everything
    git(project, "rm", "-rq", f"{KIT}/{room}")
    work(project)
    update(project, NEXT)
    assert_work_is_kept(project)
    assert rooms(project) == rooms(project, "more.py") == everything - {room}
    assert not (project / KIT / room).exists()
    assert "# Next.\n" in (project / KIT / "paths.py").read_text()
    commit(project, "Update")
    update(project, ci="none")
    assert not (project / KIT / room).exists()
    commit(project, "Switch")
    if room == "tenants":
        return
    update(project, features=[feature for feature in ALL if feature != room])
    commit(project, "Out")
    update(project, features=ALL)
    assert rooms(project) == rooms(project, "more.py") == everything
    assert_work_is_kept(project)


def test_folder_that_python_left_is_a_deleted_room(
    history: Path, tmp_path: Path
) -> None:
    project = copy(history, tmp_path / "project", {})
    git(project, "rm", "-rq", f"{KIT}/branches")
    cache = project / KIT / "branches/__pycache__/room.cpython-311.pyc"
    cache.parent.mkdir(parents=True)
    cache.touch()
    commit(project, "Delete")
    update(project, NEXT)
    assert list((project / KIT / "branches").rglob("*.py")) == []


def test_deleted_module_of_a_room_stays_away_alone(
    history: Path, tmp_path: Path
) -> None:
    project = copy(history, tmp_path / "project", {})
    module = next((project / KIT / "autogenerate").glob("[a-q]*.py"))
    git(project, "rm", "-q", str(module.relative_to(project)))
    commit(project, "Delete")
    update(project, NEXT)
    assert not module.exists()
    assert "autogenerate" in rooms(project, "more.py")


def test_recopy_brings_a_deleted_room_back(history: Path, tmp_path: Path) -> None:
    """It keeps the answers and discards what became of the files."""
    project = copy(history, tmp_path / "project", {})
    git(project, "rm", "-rq", f"{KIT}/branches")
    commit(project, "Delete")
    copier.run_recopy(project, vcs_ref=NEXT, defaults=True, overwrite=True, quiet=True)
    assert "branches" in rooms(project, "more.py")


# ------------------------------------------------------------------ A project of 2.4


def answers_of_2_4(variant: Variant) -> dict[str, Any]:
    new = {"features", "kit"}
    return {name: value for name, value in variant.answers.items() if name not in new}


@pytest.mark.parametrize(
    "variant", [Variant(), POSTGRESQL, SEVERAL[0], TENANTS[1]], ids=str
)
def test_first_update_keeps_every_feature(
    history: Path, tmp_path: Path, variant: Variant
) -> None:
    project = copy(history, tmp_path / "project", answers_of_2_4(variant), OLD)
    update(project, NOW)
    assert conflicts(project) == []
    assert recorded(project) == list(OLDER)
    asked = replace(variant, features=OLDER, agents=False)
    assert contents(project).keys() == expected_tree(asked)
    commit(project, "Update")
    update(project, NEXT)
    assert recorded(project) == list(OLDER)


def test_first_update_keeps_the_owners_work(history: Path, tmp_path: Path) -> None:
    """What was edited, deleted, or is protected, is as it would be after any update."""
    project = copy(history, tmp_path / "project", answers_of_2_4(POSTGRESQL), OLD)
    deleted = [".env.example", ".squawk.toml", "docs/schema.md", "migrations/HEAD"]
    deleted += ["src/my_app/models/__init__.py"]
    git(project, "rm", "-q", *deleted)
    conftest = project / "tests/conftest.py"
    conftest.write_text(conftest.read_text() + f"\n\n{LINE}")
    work(project)
    update(project, NOW)
    assert_work_is_kept(project)
    after = contents(project)
    assert after.keys() & set(deleted) == set()
    assert after["tests/conftest.py"].endswith(LINE.encode())
    assert rooms(project) == set(OLDER)


def test_first_update_of_an_adopted_project(history: Path, tmp_path: Path) -> None:
    """It had no drawing."""
    old = answers_of_2_4(Variant(base_location="existing", example="none"))
    project = copy(history, tmp_path / "project", old, OLD)
    update(project, NOW)
    assert recorded(project) == [name for name in OLDER if name != "diagram"]
    assert rooms(project) == {*OLDER, "adopted"} - {"diagram"}
    assert not list(project.glob("migrations/migration_kit/draw.py"))
    assert conflicts(project) == []


def test_first_update_with_chosen_features(history: Path, tmp_path: Path) -> None:
    project = copy(history, tmp_path / "project", answers_of_2_4(POSTGRESQL), OLD)
    work(project)
    with pytest.raises(ValueError, match=r"`git rm tests/conftest\.py`, commit"):
        update(project, NOW, features=["lint"])
    update(project, NOW, features=["autogenerate", "testing"])
    assert_work_is_kept(project)
    assert recorded(project) == ["autogenerate", "testing"]
    assert rooms(project) == {"autogenerate", "testing"}
    modules = {path.name for path in (project / KIT).glob("*.py")}
    [kit] = ROOT.glob("template/*/migration_kit")
    assert modules <= {path.name for path in kit.glob("*.py")}
