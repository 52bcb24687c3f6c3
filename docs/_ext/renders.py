"""Projects that the template makes, rendered by Copier once for each set of answers."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import copier
import yaml

from support import releases
from support.faster import faster_copier
from support.releases import ROOT

# What was rendered or run stays here, under the hash of all that it came from.
CACHE = ROOT / "docs" / "_build" / "cache"

# The folder of a rendered project, and what it is called without an answer.
FOLDER = "my-app"


@dataclass(frozen=True)
class File:
    """A file of a rendered project."""

    text: str
    executable: bool = False


def parse_answers(line: str) -> dict[str, Any]:
    """Return the answers of a line as a shell splits it: `database=sqlite example=tour`.

    Raises:
        ValueError: if a word is no answer.
    """
    answers = {}
    for word in shlex.split(line):
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{word!r} is no answer: write question=value")
        answers[name] = yaml.safe_load(value)
    return answers


def template_paths() -> list[Path]:
    """Return the template's files."""
    return [ROOT / name for name in releases.template_files()]


@cache
def fingerprint() -> str:
    """Return a hash of all that decides what a page shows: template, tools, and this code."""
    sources = [
        *template_paths(),
        *Path(__file__).parent.glob("*.py"),
        ROOT / "pyproject.toml",
    ]
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(sources):
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def remembered(kind: str, key: Any) -> Path:
    """Return the file that keeps a result.

    Args:
        kind: the folder, and so what the file holds.
        key: what the result comes from, beside the fingerprint; as JSON has it.
    """
    name = hashlib.sha256(f"{fingerprint()}{json.dumps(key)}".encode()).hexdigest()
    folder = CACHE / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name[:32]}.json"


def render(answers: dict[str, Any]) -> dict[str, File]:
    """Return a project's files by their paths, in their order.

    Args:
        answers: those that are not the default.

    Raises:
        ValueError: if Copier refuses an answer, or takes another one.
    """
    known = remembered("renders", answers)
    if known.exists():
        saved = json.loads(known.read_text(encoding="utf-8"))
        return {path: File(**file) for path, file in saved.items()}
    with TemporaryDirectory() as name, faster_copier():
        template = releases.copy_template(Path(name, "template"))
        project = Path(name, FOLDER)
        worker = copier.run_copy(
            str(template), project, data=answers, defaults=True, quiet=True
        )
        taken = worker.answers.combined
        for question, answer in answers.items():
            if taken.get(question) != answer:
                raise ValueError(f"{question}={answer!r} is no answer of the template")
        files = {
            path.relative_to(project).as_posix(): File(
                path.read_text(encoding="utf-8").replace(str(template), ADDRESS),
                bool(path.stat().st_mode & 0o100),
            )
            for path in sorted(project.rglob("*"))
            if path.is_file()
        }
    saved = {path: asdict(file) for path, file in files.items()}
    known.write_text(json.dumps(saved), encoding="utf-8")
    return files


# Where the pages say that the template is.
ADDRESS = "gh:OWNER/copier-alembic"
