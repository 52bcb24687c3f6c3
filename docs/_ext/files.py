"""The files of a project: which there are, whose they are, and what they are for."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from jinja2 import Environment
from pathspec import PathSpec

from _ext import renders
from _ext.markdown import escape, table
from support.releases import ROOT

# Renders that bring each file of the template at least once.
RENDERS: list[dict[str, Any]] = [
    {"example": "tour"},
    {"database": "postgresql", "compose": True, "ci": "gitlab", "tenants": "schema"},
    {"tenants": "database", "async_engine": True, "base_location": "module"},
    {
        "database": "postgresql",
        "async_engine": True,
        "more_databases": {"analytics": "sqlite+pysqlite:///analytics.db"},
    },
    {
        "async_engine": True,
        "more_databases": {"analytics": "sqlite+aiosqlite:///analytics.db"},
    },
    {
        "base_location": "existing",
        "base_import": "my_app.models:Base",
        "ci": "github",
    },
]

# The template's: updated, and nobody needs to edit them. All that is neither theirs nor the
# owner's is merged.
TEMPLATES = [
    "/.copier-answers.yml",
    "/.github/",
    "/.gitlab-ci.yml",
    "/migrations/__main__.py",
    "/migrations/migration_kit/",
    "/migrations/**/script.py.mako",
    "/src/my_app/**/models/__init__.py",
    "/tests/test_migrations.py",
]

# What a file is for, where it has no docstring that says so.
PURPOSES = {
    ".copier-answers.yml": "Your answers and the template's version; Copier reads it to update.",
    ".env.example": "The environment variables, to be copied to `.env`.",
    ".github/workflows/ci.yml": "CI: lint, types, migrations up and down, tests, the drawing.",
    ".github/workflows/migrations.yml": "CI of the migrations, in a project that exists.",
    ".gitignore": "Keeps databases, caches and `.env` out of git.",
    ".gitlab-ci.yml": "CI: lint, types, migrations up and down, tests, the drawing.",
    ".pre-commit-config.yaml": "Checks each commit as CI does, and refuses conflict markers.",
    ".squawk.toml": "Which of squawk's rules new revisions are held to.",
    "README.md": "What to run every day, who owns what, tests, production, updates.",
    "alembic.ini": "The development database and Alembic's settings, a section a database.",
    "compose.yaml": "Runs the databases for development.",
    "docs/deployment.md": "Image, manifests and jobs that migrate production, to be copied.",
    "docs/migrations.md": "The details: options, settings, production, errors.",
    "docs/schema.md": "The tables and revisions, drawn by `python migrations draw`.",
    "migrations/HEAD": "The newest revision: two branches conflict here, and not in production.",
    "migrations/script.py.mako": "What a new revision looks like.",
    "migrations/versions/.gitkeep": "Keeps the folder of the revisions in git.",
    "pyproject.toml": "Dependencies, and the settings of pytest, ruff, mypy and pyright.",
    "src/my_app/__init__.py": "Makes the folder a package.",
    "src/my_app/py.typed": "Says that the package has types.",
}


@dataclass(frozen=True)
class File:
    """A file that some projects have.

    Attributes:
        path: in a project whose package is `my_app`.
        owner: `you`, `template` or `both`.
        purpose: in one line; empty where nobody wrote one.
    """

    path: str
    owner: str
    purpose: str


@cache
def all_files() -> dict[str, File]:
    """Return each file that any of the renders has, by its path."""
    yours, templates = owned_by_user(), PathSpec.from_lines("gitignore", TEMPLATES)
    files = {}
    for answers in RENDERS:
        for file in renders.render(answers)["files"]:
            path = file["path"]
            owner = "both"
            if templates.match_file(path):
                owner = "template"
            if yours.match_file(path):
                owner = "you"
            files[path] = File(path, owner, purpose(path, file["text"]))
    return dict(sorted(files.items(), key=order))


def order(entry: tuple[str, File]) -> list[tuple[bool, str]]:
    """Sort the files of a folder before those of the folders in it."""
    *folders, name = entry[0].split("/")
    return [*((True, folder) for folder in folders), (False, name)]


def owned_by_user() -> PathSpec[Any]:
    """Return the files that copier.yml writes once, and never again."""
    text = (ROOT / "copier.yml").read_text(encoding="utf-8")
    settings = next(yaml.safe_load_all(text))
    context = {
        "_copier_conf": {"answers_file": ".copier-answers.yml"},
        "_copier_operation": "update",
        "base_location": "models",
        "migrations_path": "migrations",
        "package_name": "my_app",
    }
    jinja = Environment(trim_blocks=True, lstrip_blocks=True)
    lines = [*settings["_skip_if_exists"], *settings["_exclude"]]
    rendered = [jinja.from_string(line).render(context).split("\n") for line in lines]
    return PathSpec.from_lines(
        "gitignore", [line for part in rendered for line in part]
    )


def purpose(path: str, text: str) -> str:
    """Return what a file is for: its docstring's first line, else that of the table."""
    if path in PURPOSES:
        return PURPOSES[path]
    # Another database has what the first one has.
    first = re.sub(r"(^|/)analytics(/|_)", r"\1", path)
    if first in PURPOSES:
        return PURPOSES[first]
    if path.endswith(".py"):
        tree = ast.parse(text)
        docstring = ast.get_docstring(tree) or model_docstring(tree)
        return escape(docstring.split("\n\n")[0].replace("\n", " "))
    return ""


def model_docstring(tree: ast.Module) -> str:
    """Return the docstring of a module's class, where the module has none."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return (ast.get_docstring(classes[0]) or "") if classes else ""


def markdown() -> str:
    """Return a table for each folder."""
    folders: dict[str, list[File]] = {}
    for file in all_files().values():
        folder, _, _ = file.path.rpartition("/")
        folders.setdefault(folder, []).append(file)
    parts = []
    for folder, files in folders.items():
        rows = [
            (f"`{file.path.rpartition('/')[2]}`", file.owner, file.purpose)
            for file in files
        ]
        heading = f"## `{folder}/`" if folder else "## The project's folder"
        parts.append(f"{heading}\n\n{table(('file', 'owner', 'what'), *rows)}")
    return "\n\n".join(parts)
