"""The template as a repository with a tag for each release, and projects that live with it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import copier

from support import releases
from support.commands import run

# Later than any release: the working tree, and the one that comes after it.
NOW = "v999.0.0"
NEXT = "v999.1.0"

# Whatever the folder is called.
NAME = {"project_name": "My App"}

IDENTITY = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
IDENTITY += ["-c", "commit.gpgsign=false"]


def git(folder: str | os.PathLike[str], *arguments: str) -> str:
    """Run git as an owner with a name, and return what it printed."""
    return run("git", *IDENTITY, *arguments, cwd=folder)


def commit(folder: Path, message: str) -> None:
    """Commit everything."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--no-verify", "--allow-empty", "-m", message)


def build_history(
    repository: Path, change: Callable[[Path], None] | None = None
) -> None:
    """Make a repository with a tag for each release, the working tree and a next release.

    Args:
        repository: a folder to make.
        change: edits the template for the next release; without it there is none.
    """
    repository.mkdir()
    git(repository, "init", "--quiet")
    for version in releases.archived():
        empty(repository)
        releases.unpack(version, repository)
        release(repository, f"v{version}")
    empty(repository)
    releases.copy_template(repository)
    release(repository, NOW)
    if change:
        change(repository)
        release(repository, NEXT)


def committed(repository: Path) -> Path:
    """Make a repository of the working tree alone in an empty folder, and return it."""
    git(repository, "init", "--quiet")
    release(releases.copy_template(repository), NOW)
    return repository


def empty(repository: Path) -> None:
    """Delete everything but git's own folder."""
    for path in repository.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def release(repository: Path, tag: str) -> None:
    """Commit everything under a tag."""
    commit(repository, tag)
    git(repository, "tag", tag)


def copy(
    repository: Path, project: Path, answers: dict[str, Any], ref: str = NOW
) -> Path:
    """Make a project of a release, in a git repository of its own."""
    copy_over(repository, project, answers, ref)
    git(project, "init", "--quiet")
    commit(project, "Start")
    return project


def copy_over(
    repository: Path,
    project: Path,
    answers: dict[str, Any],
    ref: str = NOW,
    skip: Sequence[str] = (),
) -> None:
    """Copy a release over what is there; overwriting is what a user answers Copier."""
    copier.run_copy(
        str(repository),
        project,
        data=NAME | answers,
        vcs_ref=ref,
        defaults=True,
        overwrite=True,
        quiet=True,
        skip_if_exists=skip,
    )


def update(project: Path, ref: str | None = None, **answers: Any) -> None:
    """Run `copier update --defaults`, without trust; another answer is a switch."""
    copier.run_update(
        project,
        data=answers,
        vcs_ref=ref or (copier.VcsRef.CURRENT if answers else None),
        defaults=True,
        overwrite=True,
        quiet=True,
    )


def contents(project: Path) -> dict[str, bytes]:
    """Return every file of a project but git's."""
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in sorted(project.rglob("*"))
        if path.is_file() and path.relative_to(project).parts[0] != ".git"
    }


def conflicts(project: Path) -> list[str]:
    """Return the files that an update left in conflict."""
    return git(project, "diff", "--name-only", "--diff-filter=U").split()
