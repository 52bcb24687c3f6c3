"""Two projects to compare: one of the template, and one by `alembic init`, with the same files."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import copier
from sqlalchemy import URL

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.commands import run, script
from support.databases import SERVERS, execute, query
from support.revisions import add_revision

__all__ = [
    "add_revision",
    "empty_database",
    "query",
    "run",
    "scaffolds",
    "script",
    "write_history",
]

DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mariadb": "pymysql"}


@contextmanager
def scaffolds(
    database: str, example: str, features: list[str] | None = None
) -> Iterator[dict[str, Path]]:
    """Make both projects, with the same models and revisions.

    Args:
        database: a key of `DRIVERS`.
        example: answer to the question of that name.
        features: the same; the default ones if nothing is given.

    Yields:
        The folders by name, `stock` and `ours`; they are deleted at the end.
    """
    with TemporaryDirectory() as folder:
        ours, stock = Path(folder, "ours"), Path(folder, "stock")
        answers: dict[str, Any] = {"project_name": "My App", "database": database}
        answers["example"] = example
        if features is not None:
            answers["features"] = features
        copier.run_copy(
            str(ROOT), ours, data=answers, defaults=True, quiet=True, vcs_ref="HEAD"
        )
        stock.mkdir()
        run(script("alembic"), "init", "migrations", cwd=stock)
        shutil.copytree(ours / "src", stock / "src")
        versions = "migrations/versions"
        shutil.copytree(ours / versions, stock / versions, dirs_exist_ok=True)
        env = stock / "migrations/env.py"
        source = env.read_text()
        source = source.replace(
            "target_metadata = None", "target_metadata = Base.metadata"
        )
        source = source.replace(
            "config.get_section(config.config_ini_section, {})",
            '{"sqlalchemy.url": os.environ["DATABASE_URL"]}',
        )
        env.write_text("import os\nfrom my_app.models import Base\n" + source)
        yield {"stock": stock, "ours": ours}


MODELS = """\
from sqlalchemy import Column, Integer, Table

from my_app.models.base import Base

"""


def write_history(project: Path, revisions: int, tables: int) -> None:
    """Write a long history: first a table a revision, then a column for one of them after another.

    Args:
        project: has no revision yet.
        revisions: how many.
        tables: how many tables they make; as many models are written too.
    """
    versions = project / "migrations/versions"
    columns = {number: ["id"] for number in range(tables)}
    previous = None
    for number in range(revisions):
        revision = f"r{number:05}"
        table = number % tables
        if number < tables:
            up = f'op.create_table("t{table}", sa.Column("id", sa.Integer(), primary_key=True))'
            down = f'op.drop_table("t{table}")'
        else:
            columns[table].append(f"c{number}")
            up = f'op.add_column("t{table}", sa.Column("c{number}", sa.Integer()))'
            down = f'op.drop_column("t{table}", "c{number}")'
        add_revision(versions, revision, up, down, down_revision=previous)
        previous = revision
    lines = [
        f'Table("t{number}", Base.metadata, '
        + ", ".join(
            f'Column("{name}", Integer{", primary_key=True" if name == "id" else ""})'
            for name in names
        )
        + ")\n"
        for number, names in columns.items()
    ]
    (project / "src/my_app/models/tables.py").write_text(MODELS + "".join(lines))
    (project / "migrations/HEAD").write_text(f"{previous}\n")


@contextmanager
def empty_database(database: str) -> Iterator[URL]:
    """Make a database and drop it afterwards."""
    drivername = f"{database}+{DRIVERS[database]}"
    if database == "sqlite":
        with TemporaryDirectory() as folder:
            yield URL.create(drivername, database=str(Path(folder, "app.db")))
        return
    name = f"copier_alembic_{uuid4().hex[:12]}"
    execute(SERVERS[database], f"CREATE DATABASE {name}")
    try:
        yield SERVERS[database].set(drivername=drivername, database=name)
    finally:
        force = " WITH (FORCE)" if database == "postgresql" else ""
        execute(SERVERS[database], f"DROP DATABASE {name}{force}")
