"""Projects that the template makes, rendered by the starter's engine once for each set of answers."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import yaml

from starter.engine import Engine, Render
from starter.source import git
from support import releases
from support.releases import ROOT

# What was rendered or run stays here, under the hash of all that it came from.
CACHE = ROOT / "docs" / "_build" / "cache"

# The folder of a rendered project.
FOLDER = "my-app"

# What pages are written with; a build replaces it by its own address.
PLACEHOLDER = "gh:OWNER/copier-alembic"

FORGES = {"gh": "https://github.com", "gl": "https://gitlab.com"}


def address() -> str:
    """Return the address that every command names: `SITE_ADDRESS`, else git's origin on a forge."""
    given = os.environ.get("SITE_ADDRESS", "")
    url = given or git(ROOT, "remote", "get-url", "origin")
    found = re.search(r"\b(g)it(h|l)[ua]b\.com[:/](.+?/.+?)(\.git)?/?$", url)
    return f"{found[1]}{found[2]}:{found[3]}" if found else given or PLACEHOLDER


ADDRESS = address()


def cloned() -> str:
    """Return the URL that Copier clones for the address."""
    return re.sub(r"^(gh|gl):(.*)$", lambda m: f"{FORGES[m[1]]}/{m[2]}.git", ADDRESS)


def repository() -> str:
    """Return the URL of the repository's page; empty if there is no address."""
    known = ADDRESS != PLACEHOLDER and cloned().startswith("https://")
    return cloned().removesuffix(".git") if known else ""


def parse_answers(line: str) -> dict[str, Any]:
    """Return the answers of `database=sqlite example=tour`, or raise ValueError."""
    answers = {}
    for word in shlex.split(line):
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{word!r} is no answer: write question=value")
        answers[name] = yaml.safe_load(value)
    return answers


def inputs() -> list[Path]:
    """Return what decides what is rendered and run: template, tools, and this code."""
    code = ["docs/_ext/renders.py", "docs/_ext/sessions.py", "docs/starter/engine.py"]
    names = [*releases.template_files(), *code, "pyproject.toml"]
    return [*(ROOT / name for name in names), *(ROOT / "tests/support").glob("*.py")]


@cache
def fingerprint() -> str:
    """Return a hash of all that."""
    digest = hashlib.sha256(f"{sys.version}{ADDRESS}".encode())
    for path in sorted(inputs()):
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def remembered(kind: str, key: Any) -> Path:
    """Return the file that keeps a result, by its kind and what it comes from."""
    name = hashlib.sha256(f"{fingerprint()}{json.dumps(key)}".encode()).hexdigest()
    folder = CACHE / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name[:32]}.json"


def keep(path: Path, result: Any) -> None:
    """Write a result as a whole: another process may read it at the same time."""
    new = path.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps(result), encoding="utf-8")
    new.replace(path)


# The commit that the pages show, of a release that is not made yet.
COMMIT = "0123456789abcdef0123456789abcdef01234567"

# The template without this checkout's git, in which work may be waiting to be committed. It is
# there before Sphinx forks: two processes would write it while the other one reads.
COPY = TemporaryDirectory(prefix="copier_alembic_")
TEMPLATE = releases.copy_template(Path(COPY.name))


@cache
def engine() -> Engine:
    """Return what renders the template of the working tree."""
    *_, version = releases.versions()
    return Engine(TEMPLATE, ADDRESS, f"v{version}", COMMIT)


def state(answers: Mapping[str, Any]) -> Render:
    """Return a project and its questions with some answers, as the starter page has them."""
    known = remembered("renders", answers)
    if not known.exists():
        keep(known, engine().render(answers))
    return cast("Render", json.loads(known.read_text(encoding="utf-8")))


def render(answers: Mapping[str, Any]) -> Render:
    """Return a project as `state` does; raise ValueError if an answer is refused."""
    answers = {"project_name": "My App"} | dict(answers)
    if answers.get("base_location") == "existing":
        del answers["project_name"]
    result = state(answers)
    questions = {question["name"]: question for question in result["questions"]}
    for name in answers:
        if name not in questions or not questions[name]["asked"]:
            raise ValueError(f"{name} is not asked with these answers")
        if error := questions[name]["error"]:
            raise ValueError(f"{name}: {error}")
    return result
