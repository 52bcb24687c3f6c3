"""`copier update` from every released version brings what a fresh project has."""

from __future__ import annotations

import shutil
from pathlib import Path

import copier
import pytest
import releases
import yaml
from conftest import alembic, run
from test_migrate import ENGINE_OF, UP_AND_DOWN, Database
from variants import Variant

VARIANTS = [
    Variant(ENGINE_OF["sqlite-pysqlite-sync"]),
    Variant(
        ENGINE_OF["postgresql-asyncpg-async"],
        base_location="module",
        migrations_in_package=True,
        example="tour",
        ci="gitlab",
    ),
]


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    return run("git", *identity, "-c", "commit.gpgsign=false", *arguments, cwd=folder)


def commit(folder: Path, tag: str = "") -> None:
    """Commit everything in a folder, which becomes a repository if it is none."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "change")
    if tag:
        git(folder, "tag", tag)


@pytest.fixture
def tagged_template(template: Path, tmp_path: Path) -> Path:
    """A repository with a tag for each release, and the working tree as the newest one."""
    repository = tmp_path / "copier-alembic"
    repository.mkdir()
    for version in releases.versions():
        for name in ("copier.yml", "template"):
            path = repository / name
            if path.is_dir():
                shutil.rmtree(path)
        releases.unpack(version, repository)
        commit(repository, f"v{version}")
    shutil.rmtree(repository / "template")
    shutil.copytree(template, repository, dirs_exist_ok=True)
    commit(repository, "v1000.0.0")
    return repository


def contents(project: Path) -> dict[str, bytes]:
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in project.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(project).parts
    }


@pytest.mark.parametrize("version", releases.versions())
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_updated_project_equals_a_fresh_one(
    tagged_template: Path,
    tmp_path: Path,
    database: Database,
    variant: Variant,
    version: str,
) -> None:
    """But for what is written once: models and revisions."""
    updated, fresh = tmp_path / "updated", tmp_path / "fresh"
    source = str(tagged_template)
    for project, tag in ((updated, f"v{version}"), (fresh, "v1000.0.0")):
        copier.run_copy(
            source,
            project,
            data=variant.answers,
            defaults=True,
            quiet=True,
            vcs_ref=tag,
        )
    commit(updated)
    copier.run_update(updated, defaults=True, overwrite=True, quiet=True)
    assert git(updated, "ls-files", "--unmerged") == ""

    once = (f"{variant.migrations}/versions/", f"{variant.package}/models/")
    owned = ("__init__.py", "base.py")

    def comparable(project: Path) -> dict[str, bytes]:
        return {
            name: content
            for name, content in contents(project).items()
            if not name.startswith(once) or name.endswith(owned)
        }

    assert comparable(updated) == comparable(fresh)
    recorded = yaml.safe_load(
        (updated / ".copier-answers.yml").read_text(encoding="utf-8")
    )
    assert recorded["_commit"] == "v1000.0.0"
    url = database(variant.engine.database, variant.engine.driver)
    for command in UP_AND_DOWN:
        alembic(updated, *command, url=url)


def test_models_and_revisions_are_written_once(
    tagged_template: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    [oldest, *_] = releases.versions()
    copier.run_copy(
        str(tagged_template), project, defaults=True, quiet=True, vcs_ref=f"v{oldest}"
    )
    hero = project / "src/my_app/models/hero.py"
    [revision] = (project / "migrations/versions").glob("*.py")
    hero.write_text("# mine\n")
    revision.unlink()
    commit(project)
    copier.run_update(project, defaults=True, overwrite=True, quiet=True)
    assert hero.read_text() == "# mine\n"
    assert not revision.exists()
