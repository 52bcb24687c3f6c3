"""`copier update` brings the template's changes and loses none of the owner's."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import copier
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url

from support import releases
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
from support.projects import UP_AND_DOWN, Project
from support.variants import (
    COLUMNS,
    ENGINES,
    EXISTING,
    FEATURES,
    OLDER,
    Variant,
    pairwise,
)

REVISION = "migrations/versions/2026_01_31_1200-4f1c8a2d7b3e_create_heroes.py"

# What the next release changes, by a file of the generated project: before, after.
CHANGES = {
    "README.md": ("## Every day", "## Each day"),
    "alembic.ini": ("timezone = UTC", "timezone = UTC\noutput_encoding = utf-8"),
    "pyproject.toml": ('["B", "I", "UP"]', '["B", "I", "SIM", "UP"]'),
    "migrations/env.py": ("This file is yours.", "This file is yours; next."),
    "src/my_app/engine.py": ("Session = ", "# Next.\nSession = "),
    "src/my_app/models/base.py": ('"pk_%(table_name)s"', '"pk_next_%(table_name)s"'),
}


def change(repository: Path) -> None:
    """Make the next release: it changes each file in one place, the written-once ones as well."""
    paths = [
        path
        for part in ("parts", "template")
        for path in repository.glob(f"{part}/**/*")
    ]
    for path in paths:
        if not path.is_file() or path.suffix in {".typed", ".gitkeep"}:
            continue
        source = before = path.read_text(encoding="utf-8")
        for old, new in CHANGES.values():
            source = source.replace(old, new)
        includes = source.startswith("{% include")  # what it includes is changed
        if (
            source == before
            and path.suffix in {".py", ".jinja"}
            and source
            and not includes
        ):
            source += "\n# next\n" if ".py" in path.name else ""
        path.write_text(source, encoding="utf-8")


@pytest.fixture(scope="module")
def history(shared: Path) -> Path:
    repository = shared / "template"
    build_history(repository, change)
    return repository


@pytest.fixture(scope="module")
def hero(history: Path, shared: Path) -> Path:
    """A default project of the working tree; tests take a copy."""
    return copy(history, shared / "hero", {})


@pytest.fixture
def project(hero: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(hero, tmp_path / "project"))


def is_written_once(path: str) -> bool:
    if path.endswith(("models/__init__.py", "models/base.py")):
        return False
    once = (
        r"/versions/.*\.py$|/models/.*\.py$|/HEAD$|^docs/schema\.md$|^tests/test_data_"
    )
    return re.search(once, path) is not None


RELEASES = [f"v{version}" for version in releases.archived()]
WITH_ONLINE, BEFORE_ONLINE = {"v3.2.0", "v3.3.0"}, {"v2.4.0", "v3.0.0", "v3.1.0"}


def asked_of(row: dict[str, Any], release: str) -> Variant:
    """Return the answers of a row that a release has a question for."""
    if release in BEFORE_ONLINE:
        return Variant(**row | {"agents": False}, features=OLDER)
    if release in WITH_ONLINE:
        return Variant(**row | {"agents": False}, features=(*OLDER, "online"))
    return Variant(**row, features=FEATURES["all"])


# One engine for each engine.py. A pairwise set with the oldest release and this one as one more
# column; the releases between them have each engine somewhere.
OF_ENGINE_PY = ENGINES[:5:2] + ENGINES[1:2] + ENGINES[8:9]
ROWS = pairwise(
    {"release": [RELEASES[0], NOW]} | COLUMNS | {"engine": OF_ENGINE_PY}
) + [
    {"release": release, "engine": engine, "example": "tour"}
    for release, engine in zip(RELEASES[1:], cycle(OF_ENGINE_PY))
]
UPDATES = [(release := row.pop("release"), asked_of(row, release)) for row in ROWS]
UPDATES += [(NOW, EXISTING[0]), (NOW, EXISTING[-1])]


@pytest.mark.parametrize(("release", "variant"), UPDATES, ids=str)
def test_updated_project_equals_a_fresh_one(
    history: Path, tmp_path: Path, release: str, variant: Variant
) -> None:
    newest = NEXT if release == NOW else NOW
    project = copy(history, tmp_path / "updated", variant.answers, release)
    update(project, newest)
    fresh = copy(history, tmp_path / "fresh", variant.answers, newest)

    assert conflicts(project) == []
    updated, new = contents(project), contents(fresh)
    assert {path for path in updated if not is_written_once(path)} == {
        path for path in new if not is_written_once(path)
    }
    different = {path for path in new if updated.get(path) != new[path]}
    assert {path for path in different if not is_written_once(path)} == set()


def replace(path: Path, before: str, after: str) -> None:
    source = path.read_text(encoding="utf-8")
    assert before in source
    path.write_text(source.replace(before, after, 1), encoding="utf-8")


def test_work_of_the_owner_is_kept(project: Path) -> None:
    """Each edit is at another place than the template's change to the same file."""
    package = project / "src/my_app"
    replace(package / "models/hero.py", "String(100), index", "String(120), index")
    (package / "models/cape.py").write_text("# my model\n")
    (project / "migrations/versions/mine.py").write_text("# my revision\n")
    replace(
        project / "pyproject.toml", "dependencies = [", 'dependencies = [\n"httpx",'
    )
    replace(project / "README.md", "## Template updates", "## My section")
    replace(project / "alembic.ini", "[loggers]", "# my line\n[loggers]")
    replace(package / "engine.py", "    ),\n)", "    ),\n    echo=True,\n)")
    replace(
        package / "models/base.py",
        "\n    # A constraint",
        "\n    my_own = 1\n\n    # A constraint",
    )
    replace(
        project / "migrations/env.py",
        'package="my_app")',
        'package="my_app", compare_type=False)',
    )
    commit(project, "My work")
    mine = contents(project)

    update(project, NEXT)
    assert conflicts(project) == []
    after = contents(project)
    for path, content in mine.items():
        if is_written_once(path):
            assert after[path] == content
    for path, (old, new) in CHANGES.items():
        text = after[path].decode()
        assert new in text
        # Where the owner has changed a line, it is as the owner wrote it.
        for line in set(mine[path].decode().splitlines()):
            assert line in text or old in line
    assert after.keys() == mine.keys()


def test_change_of_the_same_line_is_an_honest_conflict(project: Path) -> None:
    replace(project / "pyproject.toml", '["B", "I", "UP"]', '["B", "I", "PT"]')
    commit(project, "My work")
    update(project, NEXT)
    assert conflicts(project) == ["pyproject.toml"]
    text = (project / "pyproject.toml").read_text()
    assert re.search(
        r'<<<<<<< before updating\n.*"PT".*\n=======\n.*"SIM".*\n>>>>>>> after',
        text,
    )


def test_deleted_example_stays_away(project: Path) -> None:
    git(project, "rm", "--quiet", "src/my_app/models/hero.py", REVISION)
    commit(project, "Delete the example")
    before = contents(project).keys()
    update(project, NEXT)
    assert contents(project).keys() == before


def test_deleted_file_of_the_template_stays_away(project: Path) -> None:
    git(project, "rm", "--quiet", ".env.example", ".github/workflows/ci.yml")
    commit(project, "Delete")
    before = contents(project).keys()
    update(project, NEXT)
    assert contents(project).keys() == before


def test_renamed_model_and_revision_stay_renamed(project: Path) -> None:
    git(project, "mv", "src/my_app/models/hero.py", "src/my_app/models/heroine.py")
    git(project, "mv", REVISION, "migrations/versions/0001.py")
    commit(project, "Rename")
    before = contents(project).keys()
    update(project, NEXT)
    assert contents(project).keys() == before


def test_recopy_does_not_overwrite_models_and_revisions(project: Path) -> None:
    mine = ["src/my_app/models/hero.py", "src/my_app/models/cape.py", REVISION]
    mine += ["migrations/HEAD", "docs/schema.md"]
    for name in mine:
        (project / name).write_text("# mine\n")
    commit(project, "My work")
    copier.run_recopy(project, vcs_ref=NEXT, defaults=True, overwrite=True, quiet=True)
    after = contents(project)
    for name in mine:
        assert after[name] == b"# mine\n"
    assert b"## Each day" in after["README.md"]


EDITED = [
    ".env.example",
    ".gitignore",
    ".pre-commit-config.yaml",
    "README.md",
    "alembic.ini",
    "migrations/env.py",
    "migrations/script.py.mako",
    "pyproject.toml",
    "src/my_app/engine.py",
    "src/my_app/models/__init__.py",
    "src/my_app/models/base.py",
    "src/my_app/models/hero.py",
    "tests/test_migrations.py",
    REVISION,
]

EDITS = st.lists(
    st.tuples(st.sampled_from(EDITED), st.integers(0, 200), st.booleans()),
    min_size=1,
    max_size=30,
)


@settings(
    deadline=None,
    max_examples=10,
    phases=[Phase.generate],  # the lines are random: a failure would shrink for minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(edits=EDITS)
def test_no_edited_line_is_lost(hero: Path, edits: list[tuple[str, int, bool]]) -> None:
    """A line may be written anywhere, between others or in the place of one."""
    with TemporaryDirectory() as folder:
        project = Path(shutil.copytree(hero, Path(folder) / "project"))
        written = [
            (path, edit(project / path, place, in_place))
            for path, place, in_place in edits
        ]
        written = [
            (path, line) for path, line in written if line in read(project / path)
        ]
        commit(project, "Edit")
        update(project, NEXT)
        event("conflict" if conflicts(project) else "clean merge")
        lost = [
            (path, line) for path, line in written if line not in read(project / path)
        ]
        assert lost == []


def edit(path: Path, place: int, in_place: bool) -> str:
    """Write a line of our own into a file, and return it."""
    lines = read(path).splitlines()
    line = f"# {uuid4().hex}"
    start = place % (len(lines) + 1)
    lines[start : start + in_place] = [line]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return line


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a signal of POSIX")
@pytest.mark.parametrize("last", ["README.md", "tests/test_migrations.py"])
def test_interrupted_update_is_undone_by_git(
    history: Path, tmp_path: Path, last: str
) -> None:
    """The commands of docs/how-to/update.md bring back what was there, and the next try succeeds."""
    project = copy(history, tmp_path / "project", {}, RELEASES[0])
    before = contents(project)
    process = subprocess.Popen(
        [script("copier"), "update", "--defaults", "--vcs-ref", NEXT],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and (project / last).read_bytes() == before[last]:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert contents(project) != before

    git(project, "reset", "--quiet", "--hard")
    git(project, "clean", "--quiet", "--force", "-d")
    assert contents(project) == before
    update(project, NEXT)
    assert conflicts(project) == []


def test_project_migrates_after_the_update(history: Path, tmp_path: Path) -> None:
    project = copy(history, tmp_path / "project", {"example": "tour"}, RELEASES[0])
    url = make_url(f"sqlite+pysqlite:///{tmp_path / 'app.db'}")
    Project(project, url).alembic_each([["upgrade", "b90e43d51a7c"]])
    update(project, NOW)
    Project(project, url).alembic_each([["upgrade", "head"], *UP_AND_DOWN[1:]])


def test_ci_tells_of_a_newer_template(history: Path, tmp_path: Path) -> None:
    """The notice's last line says which; the job does not fail, not even without the template."""
    project = copy(history, tmp_path / "project", {"ci": "github"})
    workflow = read(project / ".github/workflows/ci.yml")
    [command] = re.findall(r"run: (echo .*check-update.*)", workflow)
    command = re.sub(r"uvx copier@[\d.]+", str(script("copier")), command)
    assert "999.1.0" in run("sh", "-ec", command, cwd=project)
    history_moved = read(project / ".copier-answers.yml").replace("template", "nowhere")
    (project / ".copier-answers.yml").write_text(history_moved)
    run("sh", "-ec", command, cwd=project)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("README.md", "<<<<<<< before updating\n"),
        ("migrations/env.py", ">>>>>>> after updating\n"),
        ("alembic.ini.rej", "rejected\n"),
    ],
)
def test_commit_hook_refuses_conflicts(project: Path, path: str, content: str) -> None:
    hook = (script("pre-commit"), "run", "--all-files")
    git(project, "add", "--all")
    run(*hook, cwd=project)
    (project / path).write_text(content)
    git(project, "add", "--all", "--force")
    assert path in run(*hook, cwd=project, fails=True)
