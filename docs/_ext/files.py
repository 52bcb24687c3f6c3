"""The files of a project: which there are, whose they are, and what they are for."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache

from _ext import renders
from _ext.markdown import escape, table
from _ext.settings import KIT
from support.owners import owner_of
from support.variants import FEATURES

# Renders that bring each file of the template at least once.
ALL = f"features=[{','.join(FEATURES['all'])}]"
EXISTING = "base_location=existing base_import=my_app.models:Base ci=github"
ANALYTICS = "'more_databases={{analytics: \"sqlite+{}:///analytics.db\"}}'"
RENDERS = [
    renders.parse_answers(line)
    for line in (
        f"{ALL} example=tour",
        f"{ALL} database=postgresql compose=true ci=gitlab tenants=schema",
        f"{ALL} database=mariadb tenants=database async_engine=true base_location=module",
        f"database=postgresql async_engine=true {ANALYTICS.format('pysqlite')}",
        f"async_engine=true {ANALYTICS.format('aiosqlite')}",
        f"{EXISTING} database=sqlite",
        f"{EXISTING} database=postgresql",
        f"{EXISTING} database=mariadb",
    )
]

# What a file is for, where it has no docstring that says so.
PURPOSES = {
    ".copier-answers.yml": "Your answers and the template's version; Copier reads it to update.",
    ".env.example": "The environment variables, to be copied to `.env`.",
    ".gitattributes": "Marks the kit as generated, so that GitHub folds it in diffs.",
    ".github/workflows/ci.yml": "CI: lint, types, migrations up and down, and what your features check.",
    ".github/workflows/migrations.yml": "CI of the migrations, in an existing project.",
    ".gitignore": "Keeps databases, caches and `.env` out of git.",
    ".gitlab-ci.yml": "CI: lint, types, migrations up and down, and what your features check.",
    ".pre-commit-config.yaml": "Checks each commit as CI does, and refuses conflict markers.",
    ".squawk.toml": "The rules of squawk for new revisions.",
    "README.md": "What to run every day, who owns what, tests, production, updates.",
    "alembic.ini": "The development database and Alembic's settings; a section for each database.",
    "compose.yaml": "Runs the databases for development.",
    "docs/deployment.md": "Image, manifests and jobs that migrate production, to be copied.",
    "docs/migrations.md": "The details: options, settings, production, errors.",
    "docs/schema.md": "The tables and revisions, drawn by `python migrations draw`.",
    "migrations/HEAD": "The newest revision; two branches conflict here instead of in production.",
    "migrations/script.py.mako": "What a new revision looks like.",
    "migrations/versions/.gitkeep": "Keeps the folder of the revisions in git.",
    "pyproject.toml": "Dependencies, and the settings of pytest, ruff, mypy and pyright.",
    "src/my_app/__init__.py": "Makes the folder a package.",
    "src/my_app/py.typed": "Says that the package has types.",
}

MIGRATION_KIT = "migrations/migration_kit"

# The parts of the kit that belong to a kind of database.
KINDS = {"sqlite", "servers", "postgresql", "mysql"}


@dataclass(frozen=True)
class File:
    """A file that some projects have.

    Attributes:
        path: in a project whose package is `my_app`.
        owner: `you`, `the template` or `both`.
        purpose: in one line; empty where nobody wrote one.
    """

    path: str
    owner: str
    purpose: str


@cache
def all_files() -> dict[str, File]:
    """Return each file that any of the renders has, by its path."""
    files = {}
    for answers in RENDERS:
        for file in renders.render(answers)["files"]:
            path = file["path"]
            files[path] = File(path, owner_of(path), purpose(path, file["text"]))
    return dict(sorted(files.items(), key=order))


def order(entry: tuple[str, File]) -> list[tuple[bool, str]]:
    """Sort the files of a folder before those of the folders in it."""
    *folders, name = entry[0].split("/")
    return [*((True, folder) for folder in folders), (False, name)]


def purpose(path: str, text: str) -> str:
    """Return what a file is for: the line of the table, else its docstring's first line."""
    # Another database has what the first one has.
    for name in (path, re.sub(r"(^|/)analytics(/|_)", r"\1", path)):
        if name in PURPOSES:
            return PURPOSES[name]
    if path.endswith("__init__.py") and not text:
        return PURPOSES["src/my_app/__init__.py"]
    return first_line(text) if path.endswith(".py") else ""


def first_line(code: str) -> str:
    """Return the first paragraph of a module's docstring, else of its class's."""
    tree = ast.parse(code)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    found = filter(None, map(ast.get_docstring, [tree, *classes]))
    return escape(next(found, "").split("\n\n")[0].replace("\n", " "))


def markdown() -> str:
    """Return a table for each folder."""
    folders: dict[str, list[File]] = {}
    for file in all_files().values():
        folder, _, _ = file.path.rpartition("/")
        if not folder.startswith(f"{MIGRATION_KIT}/"):
            folders.setdefault(folder, []).append(file)
    parts = []
    for folder, files in folders.items():
        if folder == MIGRATION_KIT:
            parts.append(f"## `{folder}/`\n\n{kit_markdown()}")
            continue
        rows = [
            (f"`{file.path.rpartition('/')[2]}`", file.owner, file.purpose)
            for file in files
        ]
        heading = f"## `{folder}/`" if folder else "## The project's folder"
        parts.append(f"{heading}\n\n{table(('file', 'owner', 'what'), *rows)}")
    return "\n\n".join(parts)


def kit_markdown() -> str:
    """Return tables of the kit: its core, the kinds of databases, its rooms."""
    paths = [
        path.removeprefix(f"{MIGRATION_KIT}/")
        for path in all_files()
        if MIGRATION_KIT in path
    ]
    names = list(dict.fromkeys(path.split("/")[0] for path in paths))
    rooms = [name for name in names if f"{name}/room.py" in paths]
    kinds = [name for name in names if re.split(r"[./]", name)[0] in KINDS]
    core = [name for name in names if name not in rooms + kinds]
    tables = [
        (
            "The core; a module of it may depend on an answer, such as an async driver:",
            core,
        ),
        ("A kind of database, for projects that have it:", kinds),
        ("A room each, [as the answers ask for it](features.md):", rooms),
    ]
    return "\n\n".join(
        f"{said}\n\n{table(('in the kit', 'what'), *map(kit_row, parts))}"
        for said, parts in tables
    )


def kit_row(name: str) -> tuple[str, str]:
    """Return the row of a module of the kit or of a folder of it."""
    module = KIT / name
    if module.is_file():
        return f"`{name}`", first_line(module.read_text(encoding="utf-8"))
    inside = [module / "room.py", module / "__init__.py"]
    said = next(path for path in inside if path.exists())
    return f"`{name}/`", first_line(said.read_text(encoding="utf-8"))
