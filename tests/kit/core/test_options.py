"""env.py is the user's: each option of `context.configure()` is put together with the kit's."""

from __future__ import annotations

import pytest

from support.databases import url_text
from support.projects import UP_AND_DOWN, New, Project, last_line
from support.variants import ENGINE_OF, ENGINES, ONE_OF_EACH, Engine, Variant

RUN = 'run(target_metadata, package="my_app")'

CAPE = """\
from sqlalchemy import CheckConstraint, Column, Integer, String, Table
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class Cape(Base):
    __tablename__ = "capes"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), server_default="")


"""


def give(project: Project, options: str, code: str = "") -> None:
    """Give options to `run` in env.py, with code that they need before it."""
    env = f"{project.migrations}/env.py"
    project.edit(env, RUN, f"{code}{RUN[:-1]}, {options})")


def autogenerate(project: Project, message: str = "change") -> str:
    """Let Alembic write a revision, and return it; nothing where it wrote none."""
    before = set(project.revisions)
    project.alembic("revision", "--autogenerate", "-m", message)
    return "".join(path.read_text() for path in set(project.revisions) - before)


def with_cape(project: Project) -> Project:
    project.write("src/my_app/models/cape.py", CAPE)
    return project


# --------------------------------------------------------------- What both must agree on


def test_include_object_of_the_user_and_of_the_kit_must_agree(new: New) -> None:
    """The kit's leaves out CHECKs that the database named; the user's a table of its own."""
    project = new(ENGINE_OF["postgresql-psycopg-sync"]).upgraded()
    project.query("CREATE TABLE legacy (id int)")
    project.query("ALTER TABLE heroes ADD CHECK (age > 0)")
    model = project.read("src/my_app/models/hero.py")
    unnamed = '    __table_args__ = (CheckConstraint("age > 0"),)\n    id: Mapped'
    model = model.replace("    id: Mapped", unnamed)
    model = model.replace("import String", "import CheckConstraint, String")
    project.write("src/my_app/models/hero.py", model)
    base = project.read("src/my_app/models/base.py")
    unnamed_check = base.replace(
        '            "ck": "ck_%(table_name)s_%(constraint_name)s",\n', ""
    )
    project.write("src/my_app/models/base.py", unnamed_check)
    assert "legacy. Leave them out" in project.alembic("check")
    give(
        project,
        "include_object=not_legacy",
        "def not_legacy(item, name, kind, reflected, compare_to):\n"
        '    return not (kind == "table" and name == "legacy")\n\n\n',
    )
    assert "legacy" not in project.alembic("check")


def test_include_name_of_the_user_leaves_a_table_alone(new: New) -> None:
    project = new().upgraded()
    project.query("CREATE TABLE legacy (id int)")
    give(
        project,
        "include_name=not_legacy",
        "def not_legacy(name, kind, parents):\n"
        '    return not (kind == "table" and name == "legacy")\n\n\n',
    )
    assert "legacy" not in project.alembic("check")


# ------------------------------------------------------------------ Who is asked first


def test_render_item_asks_the_user_and_then_the_kit(new: New) -> None:
    """The user's renders one type; the kit's imports the module of another."""
    project = with_cape(new().upgraded())
    project.write(
        "src/my_app/types.py",
        "from sqlalchemy import String\n\n\n"
        "class Mine(String):\n    pass\n\n\n"
        "class Other(Mine):\n    pass\n",
    )
    columns = (
        "    mine: Mapped[str] = mapped_column(Mine(10))\n"
        "    other: Mapped[str] = mapped_column(Other(10))\n"
    )
    cape = CAPE.replace(
        "import Base\n", "import Base\nfrom my_app.types import Mine, Other\n"
    )
    project.write("src/my_app/models/cape.py", cape.rstrip() + "\n" + columns)
    give(
        project,
        "render_item=render_mine",
        "def render_mine(kind, item, context):\n"
        '    if kind == "type" and type(item).__name__ == "Mine":\n'
        '        return "sa.String(10)"\n'
        "    return False\n\n\n",
    )
    written = autogenerate(project)
    assert 'sa.Column("mine", sa.String(10)' in written
    assert "import my_app.types" in written
    assert 'sa.Column("other", my_app.types.Other(length=10)' in written


@pytest.mark.parametrize("answer", ["True", "False", "None"])
def test_compare_server_default_asks_the_user_and_then_the_kit(
    new: New, answer: str
) -> None:
    """The kit's takes an empty string for equal to itself; Alembic's own does not on SQLite."""
    project = with_cape(new().upgraded())
    autogenerate(project)
    project.alembic("upgrade", "head")
    give(
        project,
        "compare_server_default=compare",
        f"def compare(*arguments):\n    return {answer}\n\n\n",
    )
    project.alembic("check", fails=answer == "True")
    cape = project.read("src/my_app/models/cape.py")
    project.write("src/my_app/models/cape.py", cape.replace('""', '"red"'))
    project.alembic("check", fails=answer != "False")


@pytest.mark.parametrize(
    ("option", "differs"), [("compare_type=False", False), ("compare_type=True", True)]
)
def test_plain_value_of_the_user_wins(new: New, option: str, differs: bool) -> None:
    project = new().upgraded()
    project.edit(
        "src/my_app/models/hero.py", "String(100), index", "String(120), index"
    )
    give(project, option)
    project.alembic("check", fails=differs)


def test_compare_type_of_the_user_is_asked(new: New) -> None:
    project = new().upgraded()
    project.edit(
        "src/my_app/models/hero.py", "String(100), index", "String(120), index"
    )
    give(
        project,
        "compare_type=lambda context, inspected, column, *types: "
        'False if column.name == "name" else None',
    )
    project.alembic("check")
    project.edit(
        "src/my_app/models/hero.py",
        "secret_name: Mapped[str] = mapped_column(String(100)",
        "secret_name: Mapped[str] = mapped_column(String(120)",
    )
    assert "secret_name" in project.alembic("check", fails=True)


# --------------------------------------------------------------------- What runs as well


def test_process_revision_directives_of_both_run(new: New) -> None:
    """The user's adds an operation; the kit's marks what loses data, also in that one."""
    project = new().upgraded()
    project.edit("src/my_app/models/hero.py", "    age: Mapped[int | None]\n", "")
    give(
        project,
        "process_revision_directives=add",
        "def add(context, revision, directives):\n"
        '    statement = ops.ExecuteSQLOp("SELECT 1")\n'
        "    directives[0].upgrade_ops.ops.append(statement)\n\n\n",
    )
    project.edit(
        "migrations/env.py",
        "import os\n",
        "import os\n\nfrom alembic.operations import ops\n",
    )
    written = autogenerate(project)
    assert "# REVIEW: loses heroes.age" in written
    assert 'op.execute("SELECT 1")' in written


def test_directives_that_the_user_empties_write_no_revision(new: New) -> None:
    """As in Alembic's cookbook; the kit's function finds none left."""
    project = with_cape(new().upgraded())
    give(
        project,
        "process_revision_directives=lambda context, revision, directives: directives.clear()",
    )
    assert autogenerate(project) == ""


def test_on_version_apply_of_both_run(new: New) -> None:
    """The kit compares the recorded revision with the one that the callback hears of."""
    project = new()
    give(
        project,
        "on_version_apply=[tell, tell]",
        "def tell(**arguments):\n"
        '    print("applied", arguments["step"].up_revision_id)\n\n\n',
    )
    assert project.alembic("upgrade", "head").count("applied 4f1c8a2d7b3e") == 2
    forge = (
        "@sa.event.listens_for(op.get_bind(), 'commit', once=True)\n"
        "def forge(connection):\n"
        "    connection.exec_driver_sql(\"UPDATE alembic_version SET version_num = 'forged'\")\n"
    )
    project.add_revision("silent", forge)
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert "the database is at forged, expected silent: " in line


def test_plugins_add_up(new: New) -> None:
    """The kit's plugin still compares named CHECKs beside the user's, which is called."""
    project = new().upgraded()
    check = (
        '    __table_args__ = (CheckConstraint("age > 0", name="age"),)\n    id: Mapped'
    )
    project.edit("src/my_app/models/hero.py", "    id: Mapped", check)
    project.edit(
        "src/my_app/models/hero.py", "import String", "import CheckConstraint, String"
    )
    give(
        project,
        'autogenerate_plugins=["mine"]',
        'mine = Plugin("mine")\n'
        "mine.add_autogenerate_comparator(\n"
        '    lambda *_: print("compared") or PriorityDispatchResult.CONTINUE,\n'
        '    "schema",\n)\n\n',
    )
    project.edit(
        "migrations/env.py",
        "import os\n",
        "import os\n\nfrom alembic.runtime.plugins import Plugin\n"
        "from alembic.util import PriorityDispatchResult\n",
    )
    output = project.alembic("check", fails=True)
    assert "compared" in output
    assert "ck_heroes_age" in output


def test_dialect_opts_are_merged(new: New) -> None:
    """The kit's `paramstyle` for `--sql` stays beside what the user gives."""
    project = new(ENGINE_OF["postgresql-psycopg-sync"])
    give(project, 'dialect_opts={"max_identifier_length": 40}')
    env = project.read("migrations/env.py")
    env = env.replace("import sys\n", "import sys\n\nfrom alembic import context\n", 1)
    tell = (
        "dialect = context.get_context().dialect\n"
        "print(dialect.paramstyle, dialect.max_identifier_length)\n"
    )
    project.write("migrations/env.py", env + tell)
    assert "named 40\n" in project.alembic("upgrade", "head", "--sql")


# --------------------------------------------------------------- Promises, and refusals


def test_transaction_of_the_user_wins(new: New) -> None:
    """One transaction for the whole upgrade: what a revision before the failed one did is undone."""
    project = new(ENGINE_OF["postgresql-psycopg-sync"])
    project.add_revision("bad", 'op.execute("nonsense")')
    give(project, "transaction_per_migration=False")
    project.alembic("upgrade", "head", fails=True)
    assert project.tables() == set()


@pytest.mark.parametrize(
    ("option", "remedy"),
    [("url='sqlite://'", "-x url="), ("connection=None", "`create_engine=`")],
)
def test_what_only_a_run_knows_is_refused(new: New, option: str, remedy: str) -> None:
    project = new()
    give(project, option)
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert line.startswith(f"run() in env.py takes no {option.split('=')[0]}=")
    assert remedy in line


def test_option_that_alembic_does_not_have_yet_is_handed_on(new: New) -> None:
    """Plugins read options of their own from there."""
    project = new()
    give(project, 'my_plugins_option="x"')
    project.alembic("upgrade", "head")


def test_error_in_the_users_function_is_located(new: New) -> None:
    project = new().upgraded()
    give(project, "include_name=broken", "def broken(*_):\n    return 1 / 0\n\n\n")
    line = last_line(project.alembic("check", fails=True))
    assert (
        line
        == "check stopped: migrations/env.py, line 18: ZeroDivisionError: division by zero"
    )


# ------------------------------------------------------------------- Several MetaData


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_several_metadata_are_one_history(new: New, engine: Engine) -> None:
    project = new(engine)
    project.write(
        "src/my_app/legacy.py",
        "from sqlalchemy import Column, Integer, MetaData, Table\n\n"
        "metadata = MetaData()\n"
        'old = Table("old", metadata, Column("id", Integer, primary_key=True))\n',
    )
    env = project.read("migrations/env.py")
    env = env.replace("= Base.metadata", "= [Base.metadata, metadata]")
    env = env.replace(
        "import Base\n", "import Base\n    from my_app.legacy import metadata\n"
    )
    project.write("migrations/env.py", env)
    project.alembic("upgrade", "head")
    assert '"old"' in autogenerate(project)
    project.alembic_each(UP_AND_DOWN)
    assert project.tables() == {"heroes", "old"}
    output = project.own_tests("tests/test_migrations.py", fails=False)
    assert "7 passed" in output


def test_several_empty_metadata_drop_nothing(new: New) -> None:
    project = new().upgraded()
    project.edit("migrations/env.py", "= Base.metadata", "= [type(Base.metadata)()]")
    line = last_line(project.alembic("check", fails=True))
    assert "refused to drop every table: no models are loaded" in line


# ---------------------------------------------------------------- An engine of the user


@pytest.mark.parametrize(
    "engine",
    [*ONE_OF_EACH, ENGINE_OF["postgresql-asyncpg-async"]],
    ids=str,
)
def test_engine_of_the_user_is_used(new: New, engine: Engine) -> None:
    """Its URL holds no password; the user's function brings one, as for an IAM token."""
    project = new(engine)
    create = (
        "create_async_engine"
        if engine.driver in {"aiosqlite", "asyncpg"}
        else "create_engine"
    )
    module = "sqlalchemy.ext.asyncio" if "async" in create else "sqlalchemy"
    give(
        project,
        "create_engine=with_token",
        f"def with_token(url):\n    from {module} import {create}\n\n"
        '    print("token for", url)\n'
        f"    return {create}(url.set(database={project.url.database!r}))\n\n\n",
    )
    nowhere = url_text(project.url.set(database="nowhere"))
    output = project.alembic("upgrade", "head", DATABASE_URL=nowhere)
    assert "token for" in output
    assert project.tables() == {"heroes"}


def test_typed_env_py_with_every_kind_of_option(new: New) -> None:
    """Strict mypy follows what the documentation shows."""
    project = new(Variant(ENGINES[0]))
    code = (
        "def not_legacy(\n"
        "    item: SchemaItem,\n"
        "    name: str | None,\n"
        "    kind: str,\n"
        "    reflected: bool,\n"
        "    compare_to: SchemaItem | None,\n"
        ") -> bool:\n"
        '    return not (kind == "table" and (name or "").startswith("legacy_"))\n\n\n'
    )
    give(project, "include_object=not_legacy, compare_type=True", code)
    project.edit(
        "migrations/env.py",
        "from migration_kit import",
        "from sqlalchemy.schema import SchemaItem\n\nfrom migration_kit import",
    )
    project.mypy()
