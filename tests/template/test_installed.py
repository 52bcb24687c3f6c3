"""The kit as a dependency: the bytes of the folder, and nothing else of the project changes."""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import copier
import pytest
from sqlalchemy import URL

from support import adopted, releases
from support.commands import run, script
from support.databases import url_text
from support.history import (
    NAME,
    NOW,
    commit,
    conflicts,
    contents,
    copy,
    git,
    release,
    update,
)
from support.projects import UP_AND_DOWN, Database, Project, last_line
from support.releases import ROOT
from support.variants import Variant

KIT = ROOT / "template/{{ migrations_path }}/migration_kit"

# What the wheel is built from, beside the template.
PACKAGE = ["LICENSE", "README.md", "pyproject.toml"]

INSTALLED = {"kit": "installed"}


@pytest.fixture(scope="module")
def clone(shared: Path) -> Path:
    """A clone of the working tree, in a folder whose name wants to be quoted in a URL."""
    folder = shared / "the template"
    folder.mkdir()
    releases.copy_template(folder)
    for name in PACKAGE:
        shutil.copy(ROOT / name, folder)
    git(folder, "init", "--quiet")
    release(folder, NOW)
    return folder


@pytest.fixture(scope="module")
def dist(clone: Path, shared: Path) -> Path:
    """A folder with the wheel and the sdist, built where Python has left its caches."""
    source = Path(shutil.copytree(clone, shared / "source"))
    cache = source / KIT.relative_to(ROOT) / "__pycache__" / "rooms.cpython-311.pyc"
    cache.parent.mkdir()
    cache.write_bytes(b"")
    run(sys.executable, "-m", "hatchling", "build", cwd=source)
    return source / "dist"


@pytest.fixture(scope="module")
def site(dist: Path, shared: Path) -> Path:
    """What the wheel puts into site-packages."""
    [wheel] = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(shared / "site")
    return shared / "site"


def with_kit(folder: Path, site: Path, url: URL | None = None, **more: str) -> Project:
    """Return a project in whose environment the wheel is installed."""
    return Project(folder, url, env={"PYTHONPATH": f"src:{site}"}, **more)


# ------------------------------------------------------------------------------ Wheel


def kit_files() -> set[str]:
    prefix = f"{KIT.relative_to(ROOT)}/"
    names = (name for name in releases.template_files() if name.startswith(prefix))
    return {f"migration_kit/{name.removeprefix(prefix)}" for name in names}


def test_wheel_is_the_folder(dist: Path) -> None:
    [wheel] = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert names == kit_files() | {"migration_kit/py.typed"}
        for name in kit_files():
            assert archive.read(name) == (KIT.parent / name).read_bytes()
        others = " ".join(set(archive.namelist()) - names)
        [metadata] = re.findall(r"\S+/METADATA", others)
        text = archive.read(metadata).decode()
    assert "licenses/LICENSE" in others
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version = pyproject["project"]["version"]
    assert f"\nName: migration-kit\nVersion: {version}\n" in text
    assert re.findall(r"Requires-Dist: (\w+)", text) == ["alembic", "sqlalchemy"]


def test_sdist_builds_the_same_wheel(dist: Path, tmp_path: Path) -> None:
    [wheel], [sdist] = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    [source] = tmp_path.iterdir()
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", cwd=source)
    [again] = (source / "dist").glob("*.whl")
    assert again.read_bytes() == wheel.read_bytes()


# ------------------------------------------------------------------------ Installation


def requirement(project: Path) -> str:
    pyproject = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    dependencies = pyproject["project"]["dependencies"]
    [found] = [one for one in dependencies if one.startswith("migration-kit")]
    return str(found)


def test_clone_and_address_are_one_requirement(clone: Path, tmp_path: Path) -> None:
    found = []
    for number, source in enumerate([str(clone), f"git+file://{clone}"]):
        project = tmp_path / str(number)
        data = NAME | INSTALLED
        copier.run_copy(
            source, project, data=data, vcs_ref=NOW, defaults=True, quiet=True
        )
        found.append(requirement(project))
    head = git(clone, "rev-parse", "HEAD").strip()
    url = f"git+file://localhost{clone}@{head}".replace(" ", "%20")
    assert found == [f"migration-kit @ {url}"] * 2


def test_uv_installs_it_at_once(clone: Path, tmp_path: Path) -> None:
    """The first command is the one that the message after the copy names."""
    project = copy(clone, tmp_path / "project", INSTALLED)
    env = {"VIRTUAL_ENV": "", "UV_PROJECT_ENVIRONMENT": str(project / ".venv")}
    env |= {"UV_LINK_MODE": "copy"}

    def uv_run(*command: str, **more: str) -> str:
        command = ("run", "--quiet", *command)
        return run(script("uv"), *command, cwd=project, env=env | more)

    assert "create heroes" in uv_run("alembic", "upgrade", "head")
    env["UV_OFFLINE"] = "1"
    uv_run("alembic", "check")
    uv_run("alembic", "revision", "--message", "capes")
    head = project / "migrations/HEAD"
    [revision] = (project / "migrations/versions").glob("*_capes.py")
    assert head.read_text().strip() in revision.name
    revision.unlink()
    uv_run("python", "migrations", "head")
    assert head.read_text() == "4f1c8a2d7b3e\n"
    assert " passed" in uv_run("pytest", "-q")
    assert "no issues found" in uv_run("mypy")
    pyright = (script("pyright"), "--pythonpath", project / ".venv/bin/python")
    assert "0 errors, 0 warnings" in run(*pyright, cwd=project)
    mistake = project / "src/my_app/mistake.py"
    mistake.write_text("from migration_kit import run\n\nrun(3)\n")
    output = run(*pyright, cwd=project, fails=True)
    assert "mistake.py:3:5 - error" in output


def test_old_pip_installs_it(clone: Path, tmp_path: Path) -> None:
    """The pip that Python 3.11 brings, which takes a folder's URL only with a host."""
    project = copy(clone, tmp_path / "project", INSTALLED)
    venv.create(project / ".venv", with_pip=True)
    [libraries] = (project / ".venv/lib").glob("python*/site-packages")
    here = sysconfig.get_path("purelib")  # has all else, so nothing is downloaded
    (libraries / "suite.pth").write_text(f"{here}\n")
    python = project / ".venv/bin/python"
    offline = ("--no-index", "--no-build-isolation", "--no-deps")
    command = ("-m", "pip", "install", "--quiet", *offline, requirement(project))
    run(python, *command, cwd=project)
    path = "import migration_kit; print(migration_kit.__file__)"
    assert run(python, "-c", path, cwd=tmp_path).startswith(str(libraries))
    env = {"PYTHONPATH": "src"}
    assert "create heroes" in run(
        python, "-m", "alembic", "upgrade", "head", cwd=project, env=env
    )
    (project / "migrations/HEAD").unlink()
    run(python, "migrations", "head", cwd=project, env=env)
    assert (project / "migrations/HEAD").read_text() == "4f1c8a2d7b3e\n"


# ------------------------------------------------------------------------ Both ways

EDITS = {
    "alembic.ini": ("[loggers]\n", "[loggers]\n# my line\n"),
    "migrations/env.py": ('package="my_app")', 'package="my_app", compare_type=False)'),
    "pyproject.toml": ("dependencies = [\n", 'dependencies = [\n    "Alpha>=1",\n'),
}


def test_answer_goes_both_ways(
    clone: Path, site: Path, tmp_path: Path, database: Database
) -> None:
    folder = copy(clone, tmp_path / "project", {"features": ["branches", "testing"]})
    url = database("sqlite", "pysqlite")
    project = with_kit(folder, site, url)
    for name, (before, after) in EDITS.items():
        project.edit(name, before, after)
    project.commit("My work")
    mine = contents(folder)
    Project(folder, url).alembic("upgrade", "head")

    update(folder, **INSTALLED)
    assert conflicts(folder) == []
    theirs = contents(folder)
    changed = {name for name in theirs if theirs[name] != mine.get(name)}
    assert changed == {
        ".copier-answers.yml",
        "alembic.ini",
        "pyproject.toml",
    } | documented(changed)
    gone = mine.keys() - theirs.keys()
    kit = {name for name in mine if name.startswith("migrations/migration_kit/")}
    assert kit <= gone <= kit | {".gitattributes"}
    # As Python leaves it behind; a folder without modules hides no package that is installed.
    cache = folder / "migrations/migration_kit/__pycache__"
    cache.mkdir(parents=True, exist_ok=True)
    assert all(after in project.read(name) for name, (_, after) in EDITS.items())
    assert "\nrooms = branches, testing\n" in project.read("alembic.ini")
    project.alembic_each([["check"], *UP_AND_DOWN])
    assert " passed" in project.own_tests("-p", "no:cacheprovider")
    project.commit("Installed")

    update(folder, kit="copied")
    assert conflicts(folder) == []
    assert contents(folder) == mine


def documented(changed: set[str]) -> set[str]:
    """Return the pages and settings of tools among files: they may say where the kit is."""
    return {name for name in changed if re.match(r"docs/|README|\.git|\.pre-", name)}


def test_update_of_the_kit_is_another_commit(clone: Path, tmp_path: Path) -> None:
    """The next release of an installed kit is one line of pyproject.toml."""
    template = Path(shutil.copytree(clone, tmp_path / "template"))
    folder = copy(template, tmp_path / "project", INSTALLED)
    before = requirement(folder)
    with (template / KIT.relative_to(ROOT) / "lock.py").open("a") as file:
        file.write("# next\n")
    release(template, "v999.1.0")
    update(folder, "v999.1.0")
    head = git(template, "rev-parse", "HEAD").strip()
    assert requirement(folder) == f"{before.rpartition('@')[0]}@{head}"
    changed = git(folder, "status", "--porcelain").split()[1::2]
    assert changed == [".copier-answers.yml", "pyproject.toml"]
    commit(folder, "Next")
    update(folder, features=["testing", "lint"])
    assert "\nrooms = testing, lint\n" in (folder / "alembic.ini").read_text()


# ------------------------------------------------------------------------- Every shape


def installed(
    clone: Path, folder: Path, site: Path, url: URL, variant: Variant, **answers: Any
) -> Project:
    copy(clone, folder, variant.answers | INSTALLED | answers)
    assert not list(folder.rglob("migration_kit"))
    return with_kit(folder, site, url, migrations=variant.migrations)


def test_only_rooms_that_are_on_have_commands(
    clone: Path, site: Path, tmp_path: Path, database: Database
) -> None:
    project = installed(
        *(clone, tmp_path / "project", site, database("sqlite", "pysqlite")),
        Variant(),
        features=["branches", "backfill"],
    )
    for command in [["migrations"], ["-m", "migration_kit", "--config", "alembic.ini"]]:
        usage = project.run("python", *command, "--help")
        assert usage.startswith("usage: python migrations [-h]")
        commands = usage.partition("COMMAND\n")[2]
        assert re.findall(r"(?m)^    (\w+)", commands) == ["head", "rebase", "backfill"]
    output = project.alembic("-x", "protected=true", "current", fails=True)
    assert "features=[branches, backfill, lint]" in last_line(output)


@pytest.mark.parametrize(
    ("rooms", "remedy"),
    [
        ("brnches, testing", "Use adopted, tenants, databases, "),
        ("testing, squash", "--data 'features=[testing, autogenerate, squash]'"),
    ],
)
def test_room_that_cannot_be_on_is_refused(
    clone: Path, site: Path, tmp_path: Path, database: Database, rooms: str, remedy: str
) -> None:
    url = database("sqlite", "pysqlite")
    project = installed(clone, tmp_path / "project", site, url, Variant())
    text = project.read("alembic.ini")
    project.write("alembic.ini", re.sub("rooms = .*", f"rooms = {rooms}", text))
    assert remedy in last_line(project.alembic("current", fails=True))


def test_pyproject_may_name_the_rooms(
    clone: Path, site: Path, tmp_path: Path, database: Database
) -> None:
    url = database("sqlite", "pysqlite")
    project = installed(clone, tmp_path / "project", site, url, Variant())
    text = project.read("alembic.ini")
    location = "script_location = %(here)s/migrations\n"
    assert location in text
    text = re.sub("rooms = .*\n", "", text.replace(location, ""))
    project.write("alembic.ini", text)
    rooms = '["branches"]\nscript_location = "%(here)s/migrations"'
    text = project.read("pyproject.toml")
    project.write("pyproject.toml", f"{text}\n[tool.alembic]\nrooms = {rooms}\n")
    project.alembic("upgrade", "head")
    usage = project.kit("--help")
    assert usage.startswith("usage: python migrations [-h]")
    assert re.findall(r"(?m)^    (\w+)", usage.partition("COMMAND\n")[2]) == [
        "head",
        "rebase",
    ]


def test_migrations_in_the_package(
    clone: Path, site: Path, tmp_path: Path, database: Database
) -> None:
    url = database("sqlite", "pysqlite")
    variant = Variant(migrations_in_package=True)
    project = installed(clone, tmp_path / "project", site, url, variant)
    project.alembic_each([*UP_AND_DOWN, ["revision", "-m", "capes"]])
    [revision] = project.versions.glob("*_capes.py")
    assert project.head().strip() in revision.name
    assert "python -m my_app.migrations rebase" in project.kit("rebase", "--help")


def test_several_databases_and_their_tests(
    clone: Path, site: Path, tmp_path: Path, database: Database
) -> None:
    more = {"analytics": "sqlite+pysqlite:///analytics.db"}
    url = database("sqlite", "pysqlite")
    answers: dict[str, Any] = {"more_databases": more}
    project = installed(clone, tmp_path / "project", site, url, Variant(), **answers)
    assert "[analytics]" in project.kit("all", "upgrade", "head")
    output = project.alembic("-n", "analytics", "upgrade", "4f1c8a2d7b3e", fails=True)
    assert "it is one of [alembic]" in last_line(output)
    assert " passed" in project.own_tests()


def test_tenants_and_their_processes(
    clone: Path, site: Path, tmp_path: Path, database: Database
) -> None:
    url = database("sqlite", "pysqlite")
    variant = Variant(tenants="database")
    project = installed(clone, tmp_path / "project", site, url, variant)
    text = project.read("migrations/tenants.py")
    names = 'return ["a", "b"]'
    text = re.sub(r"raise NotImplementedError\(.*\)", names, text)
    project.write("migrations/tenants.py", text)
    run_tenants = ("python", "migrations", "tenants")
    assert "2 created" in project.run(*run_tenants, "create", "a", "b")
    assert "2 tenants: 2 at the head" in project.run(*run_tenants, "current")
    assert "python migrations tenants create c" in project.alembic(
        "-x", "tenant=c", "current", fails=True
    )


def test_adopted_project(
    clone: Path, site: Path, tmp_path: Path, database: Database
) -> None:
    folder = tmp_path / "shop"
    adopted.write(folder, adopted.DECLARATIVE)
    adopted.adopt(clone, folder, "shop.models:Base", source_dir="root", **INSTALLED)
    project = with_kit(folder, site, database("sqlite", "pysqlite"))
    assert (
        "adopted" in project.read("alembic.ini").partition("rooms = ")[2].split("\n")[0]
    )
    project.alembic("revision", "--autogenerate", "-m", "baseline")
    project.alembic_each(UP_AND_DOWN)
    assert url_text(project.url).startswith("sqlite")
    assert " passed" in project.own_tests()
