"""Take schemas up and down through Alembic: in one of our projects, and in one by `alembic init`.

``python tests/support/roundtrip.py PROJECT URL`` reads cases from its input, one in a line, and
writes what became of each. A case goes to a process, because autogenerate's plugins change Alembic
for good, and because a driver may hang.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import select
import shutil
import subprocess
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import copier
from alembic import command
from alembic.config import Config
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    MetaData,
    NullPool,
    create_engine,
    inspect,
    make_url,
)
from sqlalchemy.engine.reflection import ReflectionDefaults

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.commands import run, script
from support.databases import SERVERS, execute, url_text
from support.dumps import dump, unlike
from support.releases import copy_template

DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mariadb": "pymysql"}

# A schema beside the default one, and one for extensions, which outlives all cases.
SCHEMAS = {"postgresql": ["other"]}
EXTENSIONS = ["citext", "hstore"]


@dataclass(frozen=True)
class Program:
    """A schema as Python source that fills `metadata`, and rows as SQL."""

    models: str
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    `step` is the one that failed, or empty; "refused" where the database takes no such schema.
    `differs` tells what `create_all` makes otherwise than the revisions. `review` is whether the
    revision of a change asks for one.
    """

    step: str = ""
    error: str = ""
    differs: str = ""
    revisions: str = ""
    review: bool = False

    @property
    def passed(self) -> bool:
        """Whether each step was done."""
        return not self.step

    @property
    def stopped(self) -> bool:
        """Whether a revision that asks for a review stops, as it may with some rows."""
        return self.review and self.step in {"upgrade", "downgrade", "upgrade again"}

    @property
    def failed(self) -> bool:
        """Whether a change is not taken as it should be."""
        return self.step not in {"", "refused", "no change", "rows"}

    @property
    def signature(self) -> str:
        """The failure without what varies from case to case."""
        error = re.sub(r"migrations/versions/\S+ line \d+: ", "", self.error)
        error = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\d+|0x\w+", "?", error)
        return f"{self.step}: {error[:90]}"


class Failed(Exception):
    """A step that failed."""


# ------------------------------------------------------------------ The process with the project


class Project:
    """A project on a database, in this process."""

    def __init__(self, folder: Path, url: URL) -> None:
        """Load a project; a process can have one."""
        self.folder, self.url = folder, url
        self.strict = (folder / "migrations/migration_kit").exists()
        os.chdir(folder)
        sys.path[:0] = [str(folder / "src"), str(folder / "migrations")]
        self.base = types.SimpleNamespace(metadata=MetaData())
        package = types.ModuleType("my_app")
        package.__path__ = [str(folder / "src/my_app")]
        models = types.ModuleType("my_app.models")
        models.Base = self.base  # type: ignore[attr-defined]
        sys.modules |= {"my_app": package, "my_app.models": models}
        package.models = self.models = models  # type: ignore[attr-defined]
        if url.get_backend_name() == "sqlite":
            self.engine = create_engine(url, poolclass=NullPool)
        else:
            self.engine = create_engine(url, pool_size=1)
        self.wipe: Callable[[Engine], None] = WIPE[url.get_backend_name()]

    def config(self) -> Config:
        """Return the project's settings, without the tools that format a revision."""
        config = Config("alembic.ini", stdout=io.StringIO())
        config.file_config.remove_section("post_write_hooks")
        config.attributes["connection"] = self.engine
        return config

    def metadata(self, program: Program) -> MetaData:
        """Return what a program makes; its classes belong to a module of the project."""
        namespace = self.models.__dict__
        exec(compile(program.models, "models.py", "exec"), namespace)  # noqa: S102
        found: MetaData = namespace["metadata"]
        return found

    def created(self, program: Program) -> Any:
        """Return what `create_all` makes of a program."""
        self.create(program)
        return self.snapshot()

    def snapshot(self) -> Any:
        """Return what is in the database."""
        with self.engine.connect() as connection:
            return snapshot(connection)

    def run(self, before: Program, after: Program | None) -> Outcome:
        """Take a schema up and down, and another one on top of it."""
        for path in Path("migrations/versions").glob("*.py"):
            path.unlink()
        try:
            wanted = [self.created(one) for one in (before, after) if one]
        except Exception as error:  # noqa: BLE001 - whatever a driver or SQLAlchemy says
            return Outcome("refused", one_line(error))
        self.wipe(self.engine)
        self.base.metadata = self.metadata(before)
        differs = ""
        try:
            differs = self.first(before, wanted[0])
            if after:
                self.base.metadata = self.metadata(after)
                later = self.second(wanted[1])
                differs = differs or later
        except Failed as error:
            step, message = error.args
            return Outcome(step, message, differs, self.revisions())
        return Outcome("", "", differs, self.revisions() if differs else "")

    def change(self, before: Program, after: Program) -> Outcome:
        """Take a schema with rows to another one, and back, and again.

        What is there at each step is looked at by `dumps.py`, which has nothing of ours.
        """
        for path in Path("migrations/versions").glob("*.py"):
            path.unlink()
        try:
            self.create(after)
            wanted = dump(self.engine)
            self.wipe(self.engine)
            self.base.metadata = self.metadata(before)
        except Exception as error:  # noqa: BLE001 - whatever a driver or SQLAlchemy says
            return Outcome("refused", one_line(error))
        try:
            self.step("revision", name="first revision")
            self.step("upgrade", name="first upgrade")
        except Failed as error:
            step, message = error.args
            return self.refused(before) or Outcome(step, message, "", self.revisions())
        with self.engine.begin() as connection:
            insert(connection, before.rows)
        first = set(Path("migrations/versions").glob("*.py"))
        try:
            self.step("check", name="false alarm")
            found = dump(self.engine)
            self.base.metadata = self.metadata(after)
            self.step("revision")
            if set(Path("migrations/versions").glob("*.py")) == first:
                if wanted != found:
                    raise Failed("unseen", unlike(wanted, found))
                return Outcome("no change")
            if wanted == found:
                raise Failed("no change, but a revision", "")
            if re.search(r"REVIEW.*\n +pass\n", self.revisions(first)):
                return Outcome(review=True)  # no statement would be right
            self.step("upgrade")
            self.alike("differs after upgrade", wanted)
            self.step("check")
            self.step("downgrade", "-1")
            self.alike("differs after downgrade", found)
            self.step("upgrade", name="upgrade again")
            self.step("check", name="check again")
        except Failed as error:
            revision = self.revisions(first)
            step, message = error.args
            return Outcome(step, message, "", revision, "REVIEW" in revision)
        return Outcome(review="REVIEW" in self.revisions(first))

    def refused(self, program: Program) -> Outcome | None:
        """Return what the database says to a program, if it refuses it."""
        try:
            self.create(program)
        except Exception as error:  # noqa: BLE001 - whatever a driver or SQLAlchemy says
            return Outcome("refused", one_line(error))
        return None

    def create(self, program: Program) -> None:
        """Let `create_all` make a program in an empty database."""
        self.wipe(self.engine)
        with self.engine.begin() as connection:
            self.metadata(program).create_all(connection)

    def alike(self, name: str, wanted: list[str]) -> None:
        """Compare what is in the database with a dump."""
        if text := unlike(wanted, dump(self.engine)):
            raise Failed(name, text)

    def revisions(self, known: Collection[Path] = ()) -> str:
        """Return the functions of all revisions but those that are known."""
        paths = set(Path("migrations/versions").glob("*.py")) - set(known)
        return "\n".join(
            re.sub(r"(?s)^.*?\ndef upgrade", "def upgrade", path.read_text())
            for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns)
        )

    def first(self, before: Program, wanted: Any) -> str:
        """Take the first schema up and down, and say where it differs from the wanted one."""
        empty = self.snapshot()
        self.step("revision")
        self.step("upgrade")
        self.step("check")
        made = self.snapshot()
        self.step("downgrade", "base")
        self.same("downgrade leaves", self.snapshot(), empty)
        self.step("upgrade", name="upgrade again")
        with self.engine.begin() as connection:
            insert(connection, before.rows)
        return difference(wanted, made)

    def second(self, wanted: Any) -> str:
        """Change the first schema into the second, and back, and again."""
        before = self.snapshot()
        versions = set(Path("migrations/versions").glob("*.py"))
        self.step("revision", name="second revision")
        written = set(Path("migrations/versions").glob("*.py")) != versions
        self.step("upgrade", name="second upgrade")
        self.step("check", name="second check")
        made = self.snapshot()
        if written:
            self.step("downgrade", "-1", name="second downgrade")
            self.same("second downgrade leaves", self.snapshot(), before)
            self.step("upgrade", name="second upgrade again")
            self.step("check", name="second check again")
        return difference(wanted, made)

    def step(self, command_name: str, revision: str = "head", name: str = "") -> None:
        """Run a command of Alembic's."""
        config = self.config()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if command_name == "revision":
                    command.revision(config, message="change", autogenerate=True)
                elif command_name == "upgrade":
                    command.upgrade(config, revision)
                elif command_name == "downgrade":
                    command.downgrade(config, revision)
                else:
                    command.check(config)
        except Exception as error:
            if os.environ.get("TRACE"):
                traceback.print_exc()
            raise Failed(name or command_name, one_line(error)) from error

    def same(self, name: str, found: Any, expected: Any) -> None:
        """Compare two states of the database."""
        if text := difference(expected, found):
            raise Failed(name, text)


def one_line(error: Exception) -> str:
    """Write an error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"


def insert(connection: Connection, rows: tuple[str, ...]) -> None:
    """Insert rows that refer to each other; one that the schema refuses is left out."""
    name = connection.dialect.name
    if name == "postgresql":
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
    elif name == "mariadb":
        connection.exec_driver_sql("SET foreign_key_checks = 0")
    for row in rows:
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(row)
        except Exception:  # noqa: BLE001 - the row is no matter of the case
            if os.environ.get("TRACE"):
                traceback.print_exc()
    if name == "mariadb":
        connection.exec_driver_sql("SET foreign_key_checks = 1")


# ----------------------------------------------------------------------------- What is in there

# PostgreSQL writes the list of an IN with one cast, and reads its own words as a cast of each.
CAST = r"(?<=::character varying)::text|(?<=\])::text\[\]"


def snapshot(connection: Connection) -> dict[str, Any]:
    """Return all that SQLAlchemy reflects, without Alembic's table, as texts by their paths."""
    inspector = inspect(connection)
    found: dict[str, Any] = {}
    schemas = [None, *SCHEMAS.get(connection.dialect.name, [])]
    for schema in schemas:
        readers: dict[str, Callable[..., dict[Any, Any]]] = {
            "columns": inspector.get_multi_columns,
            "pk": inspector.get_multi_pk_constraint,
            "fk": inspector.get_multi_foreign_keys,
            "unique": inspector.get_multi_unique_constraints,
            "check": inspector.get_multi_check_constraints,
            "index": inspector.get_multi_indexes,
            "comment": inspector.get_multi_table_comment,
        }
        for name, read in readers.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    items = read(schema=schema).items()
                except NotImplementedError:
                    continue
            for (_, table), value in items:
                if table == "alembic_version":
                    continue
                path = f"{schema or ''}.{table}"
                if name == "columns":
                    for column in value:
                        column = dict(column)
                        kind = column.pop("type")
                        column["type"] = kind.compile(dialect=connection.dialect)
                        # MariaDB's reflected types hide what SHOW CREATE TABLE tells.
                        column["type"] += repr(kind)
                        found[f"{path}.{column['name']}"] = text(column)
                elif name in {"pk", "comment"}:
                    if value and value != ReflectionDefaults.pk_constraint():
                        found[f"{path} {name}"] = text(value)
                else:
                    for number, item in enumerate(sorted(value, key=repr)):
                        found[f"{path} {name} {item.get('name') or number}"] = text(
                            item
                        )
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(
            "SELECT n.nspname, t.typname, t.typtype, (SELECT array_agg(enumlabel ORDER BY "
            "enumsortorder)::text FROM pg_enum WHERE enumtypid = t.oid) FROM pg_type t "
            "JOIN pg_namespace n ON n.oid = typnamespace WHERE typtype IN ('e', 'd') "
            "AND nspname IN ('public', 'other')"
        )
        for schema, name, kind, labels in rows:
            found[f"{schema}.{name} type {kind}"] = str(labels)
    return found


def text(value: Any) -> str:
    """Write a reflected value in such a way that equal ones are equal."""
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: str(item[0]))
        return "{" + ", ".join(f"{k}: {text(v)}" for k, v in items if v) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(text(item) for item in value) + "]"
    return re.sub(rf" at 0x\w+|{CAST}", "", str(value))


def difference(expected: dict[str, str], found: dict[str, str]) -> str:
    """Say where two snapshots differ."""
    lines = [
        f"{path}: expected {expected.get(path)}, found {found.get(path)}"
        for path in sorted(expected.keys() | found.keys())
        if expected.get(path) != found.get(path)
    ]
    return "; ".join(lines)[:1500]


def wipe_sqlite(engine: Engine) -> None:
    """Begin with an empty file."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        Path(f"{engine.url.database}{suffix}").unlink(missing_ok=True)


def wipe_postgresql(engine: Engine) -> None:
    """Drop the schemas with all that is in them, and what else a case may leave."""
    with engine.begin() as connection:
        for schema in ("public", *SCHEMAS["postgresql"]):
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")


def wipe_mariadb(engine: Engine) -> None:
    """Drop the database."""
    with engine.begin() as connection:
        name = engine.url.database
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        connection.exec_driver_sql(f"USE {name}")


WIPE = {
    "sqlite": wipe_sqlite,
    "postgresql": wipe_postgresql,
    "mariadb": wipe_mariadb,
}


def serve(folder: str, url: str) -> None:
    """Answer cases until the input ends."""
    logging.disable()
    sys.dont_write_bytecode = True
    project = Project(Path(folder), make_url(url))
    output = os.fdopen(os.dup(1), "w")
    sys.stdout = sys.stderr
    if not os.environ.get("TRACE"):
        sys.stdout = sys.stderr = io.StringIO()
    for line in sys.stdin:
        *programs, single = json.loads(line)
        before, after = (Program(**one) if one else None for one in programs)
        assert before is not None
        if single:
            assert after is not None
            outcome = project.change(before, after)
        else:
            outcome = project.run(before, after)
        print(json.dumps(asdict(outcome)), file=output, flush=True)


# -------------------------------------------------------------------------------- The other side

ENV = """
import my_app.models
with config.attributes["connection"].connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=my_app.models.Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",{options}
    )
    with context.begin_transaction():
        context.run_migrations()
"""
# Alembic's documentation tells how to see the tables of other schemas.
SEVERAL_SCHEMAS = """
        include_schemas=True,
        include_name=lambda name, kind, _: kind != "schema" or name in {None, "other"},"""


class Runner:
    """A process with a project and a database."""

    def __init__(self, project: Path, url: URL, seconds: float = 60) -> None:
        """Take a project's folder; a case may last some seconds."""
        self.project, self.url, self.seconds = project, url, seconds
        self.process: subprocess.Popen[str] | None = None

    def run(self, before: Program, after: Program | None = None) -> Outcome:
        """Take a case up and down."""
        self.start(before, after)
        return self.result()

    def change(self, before: Program, after: Program | None) -> Outcome:
        """Take a change up and down."""
        self.start(before, after, single=True)
        return self.result()

    def start(
        self, before: Program, after: Program | None = None, *, single: bool = False
    ) -> None:
        """Let the process begin with a case, or with a single change."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(self.project), url_text(self.url)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self.process.stdin
        case = [asdict(before), asdict(after) if after else None, single]
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()

    def result(self) -> Outcome:
        """Wait for what became of the case; a process that hangs is replaced."""
        assert self.process
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], self.seconds)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            self.stop()
            return Outcome("died", "hangs" if not ready else "the process ended")
        return Outcome(**json.loads(line))

    def stop(self) -> None:
        """End the process."""
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None


def projects(folder: Path, template: Path, database: str) -> dict[str, Path]:
    """Make a project of the template and one by `alembic init`; return them by name.

    Args:
        folder: where.
        template: a copy of the template.
        database: a key of `DRIVERS`.
    """
    ours, stock = folder / "ours", folder / "stock"
    make_project(ours, template, database)
    stock.mkdir()
    run(script("alembic"), "init", "migrations", cwd=stock)
    env = stock / "migrations/env.py"
    head = env.read_text().partition("def run_migrations_offline")[0]
    options = SEVERAL_SCHEMAS if database in SCHEMAS else ""
    env.write_text(head + ENV.format(options=options))
    (stock / "src/my_app").mkdir(parents=True)
    return {"ours": ours, "stock": stock}


@contextmanager
def runners(folder: Path, template: Path, database: str) -> Iterator[dict[str, Runner]]:
    """Start a process for each of the two projects, with a database of its own."""
    running: dict[str, Runner] = {}
    try:
        for name, project in projects(folder, template, database).items():
            running[name] = Runner(project, make_database(folder / name, database))
        yield running
    finally:
        for runner in running.values():
            runner.stop()
            drop_database(runner.url)


@contextmanager
def running(
    folder: Path, template: Path, database: str, count: int = 1
) -> Iterator[list[Runner]]:
    """Start some processes with our project, each with a database of its own."""
    started: list[Runner] = []
    try:
        for number in range(count):
            place = folder / str(number)
            make_project(place, template, database)
            started.append(Runner(place, make_database(place, database)))
        yield started
    finally:
        for runner in started:
            runner.stop()
            drop_database(runner.url)


def make_project(folder: Path, template: Path, database: str) -> None:
    """Make a project of the template."""
    answers = {"project_name": "My App", "database": database, "example": "none"}
    copier.run_copy(str(template), folder, data=answers, defaults=True, quiet=True)


def make_database(folder: Path, database: str) -> URL:
    """Make a database."""
    drivername = f"{database}+{DRIVERS[database]}"
    if database == "sqlite":
        return URL.create(drivername, database=str(folder / "app.db"))
    name = f"copier_alembic_{uuid4().hex[:12]}"
    execute(SERVERS[database], f"CREATE DATABASE {name}")
    url = SERVERS[database].set(drivername=drivername, database=name)
    if database == "postgresql":
        execute(url, "CREATE SCHEMA extensions")
        for extension in EXTENSIONS:
            execute(url, f"CREATE EXTENSION {extension} SCHEMA extensions")
        execute(url, f"ALTER DATABASE {name} SET search_path = public, extensions")
        execute(url, f"ALTER DATABASE {name} SET synchronous_commit = off")
    return url


def drop_database(url: URL) -> None:
    """Drop a database of `make_database`."""
    server = url.get_backend_name()
    if server == "sqlite":
        Path(url.database or "").unlink(missing_ok=True)
        return
    force = " WITH (FORCE)" if server == "postgresql" else ""
    execute(SERVERS[server], f"DROP DATABASE {url.database}{force}")


def template_copy(folder: Path) -> Path:
    """Return a copy of the template."""
    shutil.rmtree(folder, ignore_errors=True)
    return copy_template(folder)


if __name__ == "__main__":
    serve(*sys.argv[1:])
