"""A project that exists already gets the migration layer, and loses nothing by it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import copier
import pytest
from sqlalchemy import create_engine, inspect

from support.adopted import DECLARATIVE, REVISION, adopt, write
from support.commands import run, script
from support.databases import query, tables, url_text
from support.projects import EACH, UP_AND_DOWN, Database, Project, last_line
from support.revisions import write_downgrades
from support.variants import ENGINE_OF, FEATURES, ONE_OF_EACH, Engine

CORE = {
    "shop/tables.py": """\
import sqlalchemy as sa

metadata = sa.MetaData()
orders = sa.Table("orders", metadata, sa.Column("id", sa.Integer, primary_key=True))
""",
}
FLASK = {
    "shop/extensions.py": """\
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Extension:
    \"\"\"What Flask-SQLAlchemy's `db` is to Alembic: its Model has the metadata.\"\"\"

    class Model(DeclarativeBase):
        pass


db = Extension()


class Order(db.Model):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
""",
}
PLAIN_MODULE = {"shop.py": DECLARATIVE["shop/models.py"]}

KINDS = [
    pytest.param("src", DECLARATIVE, "shop.models:Base", id="declarative in src"),
    pytest.param("root", DECLARATIVE, "shop.models:Base", id="declarative in root"),
    pytest.param("src", CORE, "shop.tables:metadata", id="MetaData"),
    pytest.param("src", FLASK, "shop.extensions:db.Model", id="Flask-SQLAlchemy"),
    pytest.param("root", PLAIN_MODULE, "shop:Base", id="plain module"),
]


@dataclass(frozen=True)
class Package:
    """A package of the index that nobody here wrote, with the versions that were tried."""

    requirement: str
    base_import: str
    tables: int


THIRD_PARTY = [
    Package("optuna==5.0.0", "optuna.storages._rdb.models:BaseModel", 12),
    Package("buildbot==4.3.0", "buildbot.db.model:Model", 42),
    Package("ihatemoney==7.2.1", "ihatemoney.models:db.Model", 10),
]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(("source_dir", "files", "base_import"), KINDS)
def test_empty_database_starts_with_autogenerate(
    template: Path,
    tmp_path: Path,
    database: Database,
    source_dir: str,
    files: dict[str, str],
    base_import: str,
) -> None:
    url = database("sqlite", "pysqlite")
    write(tmp_path / ("src" if source_dir == "src" else "."), files)
    adopt(template, tmp_path, base_import, source_dir=source_dir)

    Project(tmp_path, url).alembic("revision", "--autogenerate", "-m", "baseline")
    Project(tmp_path, url).alembic_each(UP_AND_DOWN, PYTHONPATH="")
    assert tables(url) == {"orders"}
    settings = '[tool.pytest]\npythonpath = ["migrations"]\n'
    (tmp_path / "pyproject.toml").write_text(settings)
    assert "6 passed" in run(script("pytest"), "-q", "tests", cwd=tmp_path)


# A key that counts, as the one of the models does.
NUMBERED = {"postgresql": "SERIAL", "mariadb": "INTEGER NOT NULL AUTO_INCREMENT"}


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_database_without_alembic_starts_with_a_stamped_baseline(
    template: Path, tmp_path: Path, database: Database, engine: Engine
) -> None:
    """The baseline is generated against an empty database, and stamped on the full one."""
    full, empty = (database(engine.database, engine.driver) for _ in range(2))
    write(tmp_path / "src", DECLARATIVE)
    key = NUMBERED.get(engine.database, "INTEGER NOT NULL")
    query(full, f"CREATE TABLE orders (id {key}, PRIMARY KEY (id))")
    query(full, "INSERT INTO orders (id) VALUES (7)")
    adopt(
        template,
        tmp_path,
        "shop.models:Base",
        database=engine.database,
        async_engine=engine.async_engine,
    )

    Project(tmp_path, empty).alembic("revision", "--autogenerate", "-m", "baseline")
    Project(tmp_path, full).alembic_each([["stamp", "head"], ["check"]])
    Project(tmp_path, empty).alembic_each(UP_AND_DOWN)
    assert query(full, "SELECT id FROM orders") == [(7,)]


# What a person may have written, in the dialect of each database.
TABLES_BEFORE_MODELS = """
CREATE TABLE customers (
    id {key},
    email VARCHAR(120) NOT NULL,
    name VARCHAR(80) DEFAULT 'it''s me' NOT NULL,
    born DATE,
    CONSTRAINT uq_customers_email UNIQUE (email)
);
CREATE TABLE orders (
    id {key},
    customer_id INTEGER NOT NULL,
    parent_id INTEGER,
    status {status} DEFAULT 'new' NOT NULL,
    total NUMERIC(10, 2) DEFAULT 0 NOT NULL,
    CONSTRAINT ck_orders_total CHECK (total >= 0),
    CONSTRAINT fk_orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id)
        ON DELETE CASCADE,
    CONSTRAINT fk_orders_parent FOREIGN KEY (parent_id) REFERENCES orders (id)
);
CREATE INDEX ix_orders_status ON orders (status, customer_id);
CREATE TABLE items (
    order_id INTEGER NOT NULL,
    line SMALLINT NOT NULL,
    sku CHAR(8) NOT NULL{comment},
    PRIMARY KEY (order_id, line),
    CONSTRAINT fk_items_order FOREIGN KEY (order_id) REFERENCES orders (id)
);
CREATE TABLE notes (
    id {key},
    order_id INTEGER,
    line SMALLINT,
    CONSTRAINT fk_notes_item FOREIGN KEY (order_id, line) REFERENCES items (order_id, line)
);
CREATE VIEW big_orders AS SELECT id FROM orders WHERE total > 100
"""
SPELLINGS = {
    "sqlite": {
        "key": "INTEGER NOT NULL PRIMARY KEY",
        "status": "VARCHAR(9)",
        "comment": "",
    },
    "postgresql": {
        "key": "INTEGER GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        "status": "order_status",
        "comment": "",
    },
    "mariadb": {
        "key": "INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY",
        "status": "ENUM('new', 'paid', 'late')",
        "comment": " COMMENT 'of the shelf'",
    },
}


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_models_are_written_from_the_database(
    template: Path, tmp_path: Path, database: Database, engine: Engine
) -> None:
    """By sqlacodegen, with a sync driver; then models, database and baseline agree."""
    driver = {"sqlite": "pysqlite", "postgresql": "psycopg"}.get(
        engine.database, "pymysql"
    )
    full, empty = (database(engine.database, driver) for _ in range(2))
    statements = TABLES_BEFORE_MODELS.format(**SPELLINGS[engine.database]).split(";")
    if engine.database == "postgresql":
        query(full, "CREATE TYPE order_status AS ENUM ('new', 'paid', 'late')")
        statements.append("COMMENT ON COLUMN items.sku IS 'of the shelf'")
    for statement in statements:
        query(full, statement)
    write(tmp_path, {"src/shop/models.py": ""})
    adopt(template, tmp_path, "shop.models:Base", database=engine.database)
    Project(tmp_path).run(
        *("python", "-m", "sqlacodegen", "--noviews", "--options", "nosyntheticenums"),
        *("--outfile", "src/shop/models.py", url_text(full)),
    )

    Project(tmp_path, empty).alembic("revision", "--autogenerate", "-m", "baseline")
    Project(tmp_path, full).alembic_each([["stamp", "head"], ["check"]])
    Project(tmp_path, empty).alembic_each(UP_AND_DOWN)
    assert tables(empty) | {"big_orders"} == tables(full) | {"big_orders"}
    assert tables(empty) == {"customers", "orders", "items", "notes"}


STOCK_ENV = """\
from alembic import context
from sqlalchemy import create_engine

from shop.models import Base

engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
with engine.connect() as connection:
    context.configure(
        connection=connection, target_metadata=Base.metadata, {version_table}
    )
    with context.begin_transaction():
        context.run_migrations()
"""


@pytest.mark.parametrize("migrations_dir", ["alembic", "shop/migrations"])
@pytest.mark.parametrize("version_table", ["alembic_version", "shop_version"])
def test_history_of_alembic_goes_on(
    template: Path,
    tmp_path: Path,
    database: Database,
    migrations_dir: str,
    version_table: str,
) -> None:
    url = database("sqlite", "pysqlite")
    write(
        tmp_path,
        DECLARATIVE
        | {
            "alembic.ini": f"[alembic]\nscript_location = {migrations_dir}\n"
            f"prepend_sys_path = .\nsqlalchemy.url = {url_text(url)}\n",
            f"{migrations_dir}/env.py": STOCK_ENV.format(
                version_table=f'version_table="{version_table}"'
            ),
            f"{migrations_dir}/versions/0001.py": REVISION,
            "README.md": "mine",
            "pyproject.toml": "[project]\nname = 'shop'\nversion = '1'\n",
            ".gitignore": "*.db\n",
        },
    )
    before = contents(tmp_path)
    Project(tmp_path).alembic("upgrade", "head")
    adopt(
        template,
        tmp_path,
        "shop.models:Base",
        source_dir="root",
        migrations_dir=migrations_dir,
        version_table=version_table,
    )

    assert "0001 (head)" in Project(tmp_path, url).alembic("current")
    Project(tmp_path, url).alembic("check")
    Project(tmp_path, url).alembic("revision", "-m", "next")
    write_downgrades(tmp_path / migrations_dir / "versions")
    Project(tmp_path, url).alembic_each(UP_AND_DOWN)
    engine = create_engine(url)
    assert set(inspect(engine).get_table_names()) == {"orders", version_table}
    engine.dispose()
    after = contents(tmp_path)
    replaced = {name for name in before if after.get(name) != before[name]}
    assert replaced == {"alembic.ini", f"{migrations_dir}/env.py"}
    [revision] = (tmp_path / migrations_dir / "versions").glob("*_next.py")
    assert after[f"{migrations_dir}/HEAD"].decode().strip() in revision.name


def test_schema_of_the_version_table_is_kept(
    template: Path, tmp_path: Path, database: Database
) -> None:
    url = database("postgresql", "psycopg")
    query(url, "CREATE SCHEMA shop")
    write(tmp_path / "src", DECLARATIVE)
    adopt(
        template,
        tmp_path,
        "shop.models:Base",
        database="postgresql",
        version_table="shop.revisions",
    )
    Project(tmp_path, url).alembic("revision", "--autogenerate", "-m", "baseline")
    Project(tmp_path, url).alembic("upgrade", "head")
    assert len(query(url, "SELECT version_num FROM shop.revisions")) == 1
    assert "shop.revisions" in Project(tmp_path, url).alembic(
        "upgrade", "head", "--sql"
    )


def test_old_alembic_ini_in_between_is_not_taken(
    template: Path, tmp_path: Path
) -> None:
    """The nearest one above the migrations is another one, as in jupyterhub and prefect."""
    old = {"src/shop/alembic.ini": "[alembic]\nscript_location = elsewhere\n"}
    write(tmp_path, old)
    write(tmp_path / "src", DECLARATIVE)
    adopt(template, tmp_path, "shop.models:Base", migrations_dir="src/shop/db/alembic")
    project = Project(tmp_path, migrations="src/shop/db/alembic")
    project.alembic("revision", "--autogenerate", "-m", "baseline")
    head = project.head()
    assert head.strip() in project.revision("baseline").name
    project.write("src/shop/db/alembic/HEAD", "another\n")
    project.kit("head")
    assert project.head() == head


def test_existing_files_are_replaced_only_after_a_question(
    template: Path, tmp_path: Path
) -> None:
    write(tmp_path, {"alembic.ini": "mine", "migrations/env.py": "mine"})
    output = run(
        *(script("copier"), "copy", "--defaults"),
        *("--data", "base_location=existing", "--data", "base_import=shop.models:Base"),
        *(template, "."),
        cwd=tmp_path,
        fails=True,
    )
    assert "conflict" in output
    assert (tmp_path / "alembic.ini").read_text() == "mine"
    assert (tmp_path / "migrations/env.py").read_text() == "mine"


def test_every_other_file_is_left_alone(template: Path, tmp_path: Path) -> None:
    mine = dict.fromkeys(
        [
            ".env.example",
            ".gitignore",
            ".pre-commit-config.yaml",
            ".github/workflows/ci.yml",
            "README.md",
            "compose.yaml",
            "migrations/versions/0001.py",
            "pyproject.toml",
            "src/shop/__init__.py",
            "src/shop/base.py",
            "src/shop/database.py",
            "src/shop/engine.py",
            "src/shop/models/__init__.py",
            "src/shop/models/base.py",
            "tests/conftest.py",
        ],
        "mine\n",
    )
    write(tmp_path, mine)
    adopt(template, tmp_path, "shop.models:Base", database="postgresql", ci="github")
    after = contents(tmp_path)
    assert {name: after[name].decode() for name in mine} == mine
    assert ".github/workflows/migrations.yml" in after


@pytest.mark.parametrize(
    ("answers", "packages", "tools"),
    [
        (
            {},
            "'alembic[tz]>=1.20.1' 'sqlalchemy>=2.0'",
            "'pytest>=9.0'",
        ),
        (
            {
                "database": "postgresql",
                "async_engine": True,
                "features": list(FEATURES["all"]),
            },
            "'alembic-postgresql-enum>=1.11' 'alembic[tz]>=1.20.1' 'asyncpg>=0.31' 'sqlalchemy[asyncio]>=2.0'",
            "'paracelsus>=0.15' 'pytest>=9.0' 'sqlglot>=30.0' 'squawk-cli>=2.70'",
        ),
    ],
)
def test_message_tells_what_to_install(
    template: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    answers: dict[str, Any],
    packages: str,
    tools: str,
) -> None:
    answers |= {"base_location": "existing", "base_import": "shop.models:Base"}
    copier.run_copy(str(template), tmp_path, data=answers, defaults=True)
    message = capfd.readouterr().err
    assert f"uv add {packages}\n" in message
    assert f"uv add --dev {tools}\n" in message


@pytest.mark.parametrize("command", [["check"], ["revision", "--autogenerate"]])
def test_modules_that_nobody_imports_are_named_in_one_line(
    template: Path, tmp_path: Path, database: Database, command: list[str]
) -> None:
    url = database("sqlite", "pysqlite")
    base = "from shop.models import Base\n\n\n"
    write(
        tmp_path / "src",
        DECLARATIVE
        | {
            "shop/billing/bills.py": base
            + 'class Bill(Base):\n    __tablename__ = "bills"\n',
            "shop/stock.py": "import sqlalchemy as sa\n"
            'sa.Table("stock", sa.MetaData(), sa.Column("id", sa.Integer))\n',
            "shop/users/__init__.py": "class User(db.Model):\n    pass\n",
            "shop/mixins.py": base + "class Abstract(db.Model):\n"
            "    __abstract__ = True\n",
            "shop/tests/models.py": base
            + 'class Fake(Base):\n    __tablename__ = "fakes"\n',
            "shop/python2.py": 'print "__tablename__"\n',
            "shop/read.py": 'table.Table("one argument")\n',
        },
    )
    adopt(template, tmp_path, "shop.models:Base", migrations_dir="src/shop/migrations")
    quiet = Project(tmp_path, url).alembic("upgrade", "head")
    output = Project(tmp_path, url).alembic(*command, fails=command == ["check"])
    [line] = [line for line in output.splitlines() if "nothing imports" in line]
    assert ": shop.billing.bills, shop.stock, shop.users. Import" in line
    assert "nothing imports" not in quiet


def test_not_migrated_modules_are_not_named(
    template: Path, tmp_path: Path, database: Database
) -> None:
    """One setting is for the warning, and for the test."""
    bill = "from shop.models import Base\n\n\nclass Bill(Base):\n"
    table = '    __tablename__ = "bills"\n'
    plugin, billing = "shop/plugins/bills.py", "shop/billing.py"
    write(tmp_path / "src", DECLARATIVE | {plugin: bill + table, billing: bill + table})
    adopt(template, tmp_path, "shop.models:Base")
    project = Project(tmp_path, database("sqlite", "pysqlite"))
    only = ("tests", "-k", "test_every_model_is_loaded")
    project.write("pytest.ini", "[pytest]\npythonpath = migrations\n")

    def run_with(names: str) -> None:
        env = project.read("migrations/env.py").rpartition("run(")[0]
        arguments = f'target_metadata, package="shop", not_migrated={names}'
        project.write("migrations/env.py", f"{env}run({arguments})\n")

    run_with('["shop.plugins"]')
    output = project.alembic("revision", "--autogenerate", "-m", "baseline")
    [line] = [line for line in output.splitlines() if "nothing imports" in line]
    assert "nothing imports them: shop.billing. Import" in line
    assert "shop.plugins" not in project.own_tests(*only, fails=True)

    run_with('["shop.plugins", "shop.billing"]')
    project.alembic("upgrade", "head")
    assert "nothing imports" not in project.alembic("check")
    assert "1 passed" in project.own_tests(*only)

    run_with('["shop.plug"]')
    wrong = "shop has no module 'shop.plug'. Correct `not_migrated=` of run() in env.py"
    assert last_line(project.alembic("check", fails=True)) == wrong
    assert wrong in project.own_tests(*only, fails=True)


def test_loaded_modules_are_not_named(template: Path, tmp_path: Path) -> None:
    write(tmp_path / "src", DECLARATIVE)
    adopt(template, tmp_path, "shop.models:Base")
    output = Project(tmp_path).alembic("revision", "--autogenerate", "-m", "baseline")
    assert "nothing imports" not in output


@pytest.mark.parametrize(
    "package", THIRD_PARTY, ids=lambda package: package.requirement
)
def test_real_project_is_adopted(
    template: Path, tmp_path: Path, database: Database, package: Package
) -> None:
    """In an environment of its own, with the SQLAlchemy that the package asks for."""
    uv, venv = script("uv"), tmp_path / "venv"
    run(uv, "venv", "--quiet", "--python", sys.executable, venv, cwd=tmp_path)
    run(
        *(uv, "pip", "install", "--quiet", "--python", venv),
        *(package.requirement, "alembic[tz]==1.20.1", "psycopg[binary]==3.3.9"),
        "alembic-postgresql-enum==1.11.0",
        cwd=tmp_path,
    )
    baseline = ["revision", "--autogenerate", "-m", "baseline"]
    commands = json.dumps(UP_AND_DOWN)
    for name in ("sqlite-pysqlite-sync", "postgresql-psycopg-sync"):
        engine = ENGINE_OF[name]
        project = tmp_path / engine.database
        adopt(
            template,
            project,
            package.base_import,
            source_dir="root",
            database=engine.database,
        )
        url = database(engine.database, engine.driver)
        env = {"DATABASE_URL": url_text(url)}
        output = run(venv / "bin" / "alembic", *baseline, cwd=project, env=env)
        assert "nothing imports" not in output
        env["COMMANDS"] = commands
        output = run(venv / "bin" / "python", "-c", EACH, cwd=project, env=env)
        assert "nothing imports" not in output
        assert len(tables(url)) == package.tables


def test_answers_of_another_template_are_left_alone(
    template: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, DECLARATIVE)
    theirs = tmp_path / ".copier-answers.yml"
    theirs.write_text("_src_path: gh:others/app\n_commit: v1\ndatabase: postgresql\n")
    before = contents(tmp_path)
    given = {"base_location": "existing", "base_import": "shop.models:Base"}
    for data in ({}, given):
        with pytest.raises(ValueError, match="--answers-file ") as error:
            copier.run_copy(str(template), tmp_path, data=data, defaults=True)
        assert ".copier-answers.yml belongs to another template" in str(error.value)
        assert "\n" not in str(error.value)
        assert contents(tmp_path) == before

    own = ".copier-answers.migrations.yml"
    copier.run_copy(
        str(template), tmp_path, data=given, defaults=True, answers_file=own
    )
    assert "database: sqlite\n" in (tmp_path / own).read_text()
    assert f"copier update --answers-file {own} --vcs-ref" in capfd.readouterr().err
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    copier.run_copy(
        *(str(template), tmp_path, {"database": "mariadb"}),
        answers_file=own,
        defaults=True,
        overwrite=True,
        quiet=True,
    )
    assert "database: mariadb\n" in (tmp_path / own).read_text()
    assert theirs.read_bytes() == before[theirs.name]
