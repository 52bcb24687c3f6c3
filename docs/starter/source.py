"""The template that the site is about: its files, its address, its version."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

# The parts of the template: the conversation, its parts, and the project's files.
PARTS = ["copier.yml", "parts", "questions", "template"]


@dataclass(frozen=True)
class Source:
    """A template as `copier copy` finds it.

    Attributes:
        folder: the folder of its files.
        address: the argument of `copier copy`, which a project records for updates.
        reference: the tag or commit for `--vcs-ref`.
        commit: that version as Copier records it.
        commit_hash: the full hash, for a project that requires the kit.
    """

    folder: Path
    address: str
    reference: str
    commit: str
    commit_hash: str

    @classmethod
    def of(cls, folder: Path, address: str | None = None) -> Source:
        """Return a git checkout's template; without an address, the checkout is the address."""
        return cls(
            folder,
            address or str(folder),
            reference=git(folder, "describe", "--tags", "--exact-match")
            or git(folder, "rev-parse", "HEAD"),
            commit=git(folder, "describe", "--tags", "--always"),
            commit_hash=git(folder, "rev-parse", "HEAD"),
        )

    def copy(self, folder: Path) -> Path:
        """Copy the template's files into a folder, without git and caches, and return it."""
        ignore = shutil.ignore_patterns("__pycache__", ".*_cache")
        for name in PARTS:
            part, copy = self.folder / name, folder / name
            if part.is_dir():
                shutil.copytree(part, copy, ignore=ignore)
            else:
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(part, copy)
        return folder


def git(folder: Path, *arguments: str) -> str:
    """Return the output of git in a checkout; empty if it fails."""
    command = ["git", "-C", str(folder), *arguments]
    process = subprocess.run(command, check=False, capture_output=True, text=True)
    return process.stdout.strip() if process.returncode == 0 else ""


def version() -> str:
    """Return the release of this checkout, from pyproject.toml."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(pyproject["project"]["version"])
