"""Autogenerate sees what changed, writes what runs up and down, and no disaster."""

from __future__ import annotations

import re

import pytest

from support.projects import UP_AND_DOWN, New, Project, last_line
from support.revisions import revision_of
from support.variants import ENGINE_OF, ONE_OF_EACH, Engine, Variant

# The newest revision alone.
NEWEST_UP_AND_DOWN = [
    ["downgrade", "-1"] if command == ["downgrade", "base"] else command
    for command in UP_AND_DOWN
]

CAPE = """\
from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from {base} import Base


class Cape(Base):
    __tablename__ = "capes"
    __table_args__ = (CheckConstraint("length > 0", name="positive_length"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    colour: Mapped[str] = mapped_column(String(20), server_default="red", unique=True)
    length: Mapped[int]
    hero_id: Mapped[int] = mapped_column(ForeignKey("heroes.id"))
"""


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize("base_location", ["models", "module"])
def test_autogenerate_sees_a_model_that_was_dropped_in(
    new: New, engine: Engine, base_location: str
) -> None:
    project = new(Variant(engine, base_location=base_location))
    base = "my_app.models.base" if base_location == "models" else "my_app.base"
    wardrobe = project / "src/my_app/models/wardrobe"
    wardrobe.mkdir()
    (wardrobe / "__init__.py").touch()
    (wardrobe / "cape.py").write_text(CAPE.format(base=base))

    project.alembic("upgrade", "head")
    project.alembic("check", fails=True)
    project.alembic("revision", "--autogenerate", "-m", "add capes")
    [revision] = project.versions.glob("*_add_capes.py")
    content = revision.read_text()
    for name in [
        "ck_capes_positive_length",
        "fk_capes_hero_id_heroes",
        "uq_capes_colour",
        "pk_capes",
    ]:
        assert name in content
    project.ruff()
    project.alembic_each(UP_AND_DOWN)


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("String(100), index=True", "String(120), index=True", "alter_column"),
        (
            "mapped_column(String(100))\n",
            'mapped_column(String(100), server_default="?")\n',
            "'?'|\"\\?\"",
        ),
        (
            "    id: Mapped",
            '    __table_args__ = (CheckConstraint("age > 0", name="age"),)\n    id: Mapped',
            "ck_heroes_age",
        ),
    ],
    ids=["type", "server default", "named CHECK"],
)
def test_autogenerate_sees_a_changed_model(
    new: New,
    engine: Engine,
    before: str,
    after: str,
    change: str,
) -> None:
    project = new(engine)
    model = project / "src/my_app/models/hero.py"
    source = model.read_text().replace(
        "import String", "import CheckConstraint, String"
    )
    project.alembic("upgrade", "head")
    project.alembic("check")
    assert before in source
    model.write_text(source.replace(before, after))

    project.alembic("revision", "--autogenerate", "-m", "change heroes")
    [revision] = project.versions.glob("*_change_heroes.py")
    assert re.search(change, revision.read_text())
    if engine.database == "sqlite":
        assert "batch_alter_table" in revision.read_text()
    project.alembic_each(NEWEST_UP_AND_DOWN)


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize(
    "command", [("check",), ("revision", "--autogenerate", "-m", "drop")]
)
def test_autogenerate_refuses_to_drop_everything(
    new: New, engine: Engine, command: tuple[str, ...]
) -> None:
    project = new(engine).upgraded()
    models = project / "src/my_app/models"
    (models / "__init__.py").write_text("from my_app.models.base import Base\n")
    line = last_line(project.alembic(*command, fails=True))
    assert "refused to drop every table: no models are loaded" in line
    assert len(list(project.versions.glob("*.py"))) == 1


def test_no_change_means_no_file(new: New) -> None:
    project = new().upgraded()
    output = project.alembic("revision", "--autogenerate", "-m", "nothing")
    assert "Models and database agree: no revision is written" in output
    assert len(list(project.versions.glob("*.py"))) == 1
    project.alembic("revision", "-m", "by hand")
    assert len(list(project.versions.glob("*.py"))) == 2


def new_revision(project: Project, message: str) -> str:
    project.alembic("revision", "--autogenerate", "-m", message)
    [path] = project.versions.glob(f"*_{message}.py")
    project.ruff()
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_lost_tables_and_columns_ask_for_review(new: New, engine: Engine) -> None:
    project = new(Variant(engine, example="tour")).upgraded()
    (project / "src/my_app/models/user.py").unlink()
    hero = project / "src/my_app/models/hero.py"
    hero.write_text(hero.read_text().replace("    age: Mapped[int | None]\n", ""))
    content = new_revision(project, "lose")
    upgrade, downgrade = content.split("def downgrade")
    assert re.search(r"# REVIEW: loses the rows of users\.\n +op\.drop_table", upgrade)
    assert re.search(
        r"# REVIEW: loses heroes\.age; or has it a new name\?\n +\w+\.drop_column",
        upgrade,
    )
    assert "REVIEW" not in downgrade
    project.alembic_each(UP_AND_DOWN)


MODEL = """
import enum
from datetime import datetime

from sqlalchemy import DateTime, Enum, ForeignKey, String, func
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class Colour(enum.Enum):
    red = "red"
    blue = "blue"


class Wardrobe(Base):
    __tablename__ = "wardrobes"

    id: Mapped[int] = mapped_column(primary_key=True)
    hero_id: Mapped[int] = mapped_column(ForeignKey("heroes.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(DateTime, server_default=func.now())
    name: Mapped[str] = mapped_column(String(50), index=True)


class Cape(Base):
    __tablename__ = "capes"

    id: Mapped[int] = mapped_column(primary_key=True)
    wardrobe_id: Mapped[int] = mapped_column(ForeignKey("wardrobes.id"), index=True)
    colour: Mapped[Colour] = mapped_column(Enum(Colour))
"""


@pytest.mark.parametrize(
    "engine", [*ONE_OF_EACH, ENGINE_OF["postgresql-asyncpg-async"]], ids=str
)
def test_autogenerated_revisions_run_up_and_down(new: New, engine: Engine) -> None:
    """Tables with indexed foreign keys, an enum that grows, and all of it dropped again."""
    project = new(engine).upgraded()
    model = project / "src/my_app/models/cape.py"
    model.write_text(MODEL.lstrip())
    new_revision(project, "add")
    project.alembic_each(UP_AND_DOWN)

    model.write_text(
        MODEL.lstrip().replace(
            '    blue = "blue"\n', '    blue = "blue"\n    gold = "gold"\n'
        )
    )
    if engine.database != "sqlite":  # which stores it as text of some length
        new_revision(project, "grow")
        project.alembic_each(UP_AND_DOWN)

    no_key = model.read_text().replace(
        '    wardrobe_id: Mapped[int] = mapped_column(ForeignKey("wardrobes.id"), index=True)\n',
        "",
    )
    model.write_text(no_key)
    new_revision(project, "unlink")
    project.alembic_each(UP_AND_DOWN)

    model.unlink()
    new_revision(project, "drop")
    project.alembic_each(NEWEST_UP_AND_DOWN)
    assert project.tables() == {"heroes"}
    if engine.database == "postgresql":
        assert project.query("SELECT typname FROM pg_type WHERE typtype = 'e'") == []


SIDEKICK = """
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class Sidekick(Base):
    __tablename__ = "a_sidekicks"

    id: Mapped[int] = mapped_column(primary_key=True)
    hero_id: Mapped[int | None] = mapped_column(ForeignKey("heroes.id"))
    of: Mapped[str | None] = mapped_column(
        String(100),
        ForeignKey("heroes.secret_name"),
    )
"""


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize("is_new", [True, False], ids=["new", "existing"])
def test_a_key_follows_the_constraint_to_which_it_refers(
    new: New, engine: Engine, is_new: bool
) -> None:
    """Alembic writes new tables first, and the others by name."""
    project = new(engine).upgraded()
    hero, sidekick = (
        project / f"src/my_app/models/{name}.py" for name in ("hero", "sidekick")
    )
    plain, linked = hero.read_text(), SIDEKICK.lstrip()
    unlinked = linked.replace('        ForeignKey("heroes.secret_name"),\n', "")
    if not is_new:
        sidekick.write_text(unlinked)
        new_revision(project, "table")
        project.alembic_each(UP_AND_DOWN)
    hero.write_text(plain.replace("(String(100))", "(String(100), unique=True)"))
    sidekick.write_text(linked)
    assert "uq_heroes_secret_name" in new_revision(project, "link")
    project.alembic_each(UP_AND_DOWN)
    hero.write_text(plain)
    sidekick.write_text(unlinked)
    if is_new:
        sidekick.unlink()
    new_revision(project, "unlink")
    project.alembic_each(NEWEST_UP_AND_DOWN)


DEFAULTS = ["", "it's", "''", "'quoted'", 'a "b"', "100%", "a:b", "(c)", "é"]


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_text_defaults_are_no_drift(new: New, engine: Engine) -> None:
    """Alembic's own comparison takes some for different on SQLite and MariaDB."""
    project = new(engine)
    columns = [
        f"    c{number}: Mapped[str] = mapped_column(String(20), server_default={default!r})"
        for number, default in enumerate(DEFAULTS)
    ]
    cape = CAPE.format(base="my_app.models.base")
    model = project.write("src/my_app/models/cape.py", cape + "\n".join(columns) + "\n")
    project.upgraded()
    project.alembic("revision", "--autogenerate", "-m", "add")
    project.alembic_each(UP_AND_DOWN)
    model.write_text(
        model.read_text().replace('"a:b"', "'b:a'").replace("'a:b'", "'b:a'")
    )
    assert "c6" in project.alembic("check", fails=True)


NEW_ID = """
from sqlalchemy import Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.functions import FunctionElement

from my_app.models.base import Base


class NewId(FunctionElement[int]):
    type = Integer()
    inherit_cache = True


@compiles(NewId, "sqlite")
def compile_new_id(*_: object, **__: object) -> str:
    return "(1 + 1)"


class Cape(Base):
    __tablename__ = "capes"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(server_default=NewId())
"""


def test_default_that_only_its_dialect_knows_is_no_drift(new: New) -> None:
    """As prefect's, which no other compiler can render."""
    project = new()
    project.write("src/my_app/models/cape.py", NEW_ID)
    project.upgraded()
    output = project.alembic("revision", "--autogenerate", "-m", "add", fails=False)
    assert "capes" in output
    project.alembic("upgrade", "head")
    project.alembic("check")


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_computed_and_identity_columns_are_no_drift(new: New, engine: Engine) -> None:
    project = new(engine)
    cape = CAPE.format(base="my_app.models.base")
    cape = cape.replace("import CheckConstraint,", "import CheckConstraint, Computed,")
    cape = cape.replace("ForeignKey, String", "ForeignKey, Identity, String")
    cape = cape.replace(
        "mapped_column(primary_key=True)", "mapped_column(Identity(), primary_key=True)"
    )
    cape += '    area: Mapped[int | None] = mapped_column(Computed("length * 2"))\n'
    project.write("src/my_app/models/cape.py", cape)
    project.upgraded()
    project.alembic("revision", "--autogenerate", "-m", "add")
    project.alembic_each(UP_AND_DOWN)


SECRET = """

class Secret(TypeDecorator[str]):
    impl = String
    cache_ok = True

    def __init__(self, key: str) -> None:
        super().__init__(1000)
        self.key = key


class Guid(TypeDecorator[str]):
    impl = CHAR(32)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.UUID())
        return dialect.type_descriptor(CHAR(32))


class Token(TypeDecorator[str]):
    impl = Secret("another key")
    cache_ok = True

    def __init__(self) -> None:
        super().__init__("another key")


class Vault(Base):
    __tablename__ = "vaults"

    id: Mapped[int] = mapped_column(primary_key=True)
    secret: Mapped[str] = mapped_column(Secret("key"))
    guid: Mapped[str] = mapped_column(Guid)
    token: Mapped[str] = mapped_column(Token)
    details: Mapped[Any] = mapped_column(JSON().with_variant(JSONB(), "postgresql"))
"""


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_revision_needs_no_type_of_the_models(new: New, engine: Engine) -> None:
    """A TypeDecorator with arguments of its own, defined beside its model, is what it stores."""
    project = new(engine)
    imports = (
        "from typing import Any\n\n"
        "from sqlalchemy import CHAR, JSON, Dialect, String\n"
        "from sqlalchemy.dialects import postgresql\n"
        "from sqlalchemy.dialects.postgresql import JSONB\n"
        "from sqlalchemy.orm import Mapped, mapped_column\n"
        "from sqlalchemy.types import TypeDecorator, TypeEngine\n\n"
        "from my_app.models.base import Base\n"
    )
    project.write("src/my_app/models/vault.py", imports + SECRET)
    project.upgraded()
    project.alembic("revision", "--autogenerate", "-m", "add")
    source = project.revision("add").read_text()
    assert "my_app" not in source
    assert source.count("sa.String(length=1000)") == 2
    project.alembic_each(UP_AND_DOWN)
    project.ruff()
    assert "7 passed" in project.own_tests("tests/test_migrations.py")


ENUM = """\
import enum

from sqlalchemy import Enum, Index
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class Mood(enum.Enum):
    good = 1
    bad = 2


class Cape(Base):
    __tablename__ = "Capes"
    __table_args__ = (Index("ix_bad", "id", postgresql_where="mood = 'bad'"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    mood: Mapped[Mood] = mapped_column(Enum(Mood), server_default="bad", index=True)
    moods: Mapped[list[Mood]] = mapped_column(ARRAY(Enum(Mood)))
"""


@pytest.mark.parametrize(
    ("values", "added"),
    [
        ("best bad good", None),
        ("good bad best", ["'best' AFTER 'bad'"]),
        ("best better good bad", ["'best' BEFORE 'good'", "'better' AFTER 'best'"]),
        ("good better bad", ["'better' AFTER 'good'"]),
        ("good (:a%20) bad", ["'(:a%20)' AFTER 'good'"]),
    ],
    ids=["reordered", "last", "first", "between", "signs"],
)
def test_an_enum_changes_in_plain_sql(
    new: New, values: str, added: list[str] | None
) -> None:
    """A revision that extends one passes the type checker, the linter and a second upgrade."""
    project = new(ENGINE_OF["postgresql-psycopg-sync"])
    model = project.write("src/my_app/models/cape.py", ENUM)
    project.upgraded()
    project.alembic("revision", "--autogenerate", "-m", "add")
    project.upgraded()
    project.query("INSERT INTO \"Capes\" VALUES (1, 'bad', '{good,bad}')")

    names = " ".join(f'"{value}"' for value in values.split())
    functional = f'Mood = enum.Enum("Mood", [{", ".join(names.split())}])\n'
    model.write_text(
        re.sub(r"class Mood.*\n.*\n.*\n", functional, ENUM), encoding="utf-8"
    )
    project.commit()
    project.alembic("revision", "--autogenerate", "-m", "change")
    source = project.revision("change").read_text()
    assert "alembic_postgresql_enum" not in source
    for value in added or []:
        sql = value.replace(":", r"\\:")
        assert f"ADD VALUE IF NOT EXISTS {sql}" in source
    project.alembic_each([*NEWEST_UP_AND_DOWN, ["downgrade", "-1"], *UP_AND_DOWN[:2]])
    [labels] = project.query("SELECT enum_range(NULL::mood)::text")
    assert labels[0] == "{" + ",".join(values.split()) + "}"
    assert project.query('SELECT mood::text, moods::text FROM "Capes"') == [
        ("bad", "{good,bad}")
    ]
    if added:
        project.alembic("stamp", revision_of(project.revision("add")))
        project.upgraded()  # values that are there stop nothing
    if added and len(added) > 1:
        project.mypy()
        project.lint()


def test_without_its_library_an_enum_gets_a_line(new: New) -> None:
    project = new(ENGINE_OF["postgresql-psycopg-sync"]).upgraded()
    project.write("src/my_app/models/cape.py", ENUM)
    env = project.read("migrations/env.py")
    lacks = "import sys\n\nsys.modules['alembic_postgresql_enum'] = None\n"
    project.write("migrations/env.py", lacks + env)
    output = project.alembic("revision", "--autogenerate", "-m", "add", fails=True)
    assert "`uv add alembic-postgresql-enum`" in last_line(output)
    assert len(project.revisions) == 1


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_not_null_asks_for_review_and_the_failure_names_the_three_steps(
    new: New, engine: Engine
) -> None:
    project = new(engine).upgraded()
    hero = project.read("src/my_app/models/hero.py")
    project.query("INSERT INTO heroes (id, name, secret_name) VALUES (1, 'one', 'x')")
    columns = "    power: Mapped[int]\n    level: Mapped[int | None]\n"
    project.write("src/my_app/models/hero.py", hero + columns)
    source = new_revision(project, "add")
    assert "# REVIEW: existing rows have no value for heroes.power." in source
    assert "heroes.level." not in source
    if engine.database not in {"mysql", "mariadb"}:  # they make a value up
        assert "Add the column as nullable" in last_line(
            project.alembic("upgrade", "head", fails=True)
        )
        project.query("DELETE FROM heroes")
    project.upgraded()

    project.query("DELETE FROM heroes")
    project.query(
        "INSERT INTO heroes (id, name, secret_name, power) VALUES (1, 'one', 'x', 1)"
    )
    project.edit(
        "src/my_app/models/hero.py",
        "level: Mapped[int | None]",
        "level: Mapped[int]",
    )
    source = new_revision(project, "require")
    assert "# REVIEW: rows may have NULL in heroes.level:" in source
    failure = last_line(project.alembic("upgrade", "head", fails=True))
    fill = "Add the column as nullable, fill it with UPDATE, then make it NOT NULL"
    assert fill in failure or "Some rows have NULL" in failure  # of MariaDB
    project.query("UPDATE heroes SET level = 1")
    project.upgraded()


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_a_check_in_a_column_is_in_the_first_revision(new: New, engine: Engine) -> None:
    """Alembic leaves it out of `create_table`, and finds it missing the next time."""
    project = new(engine)
    cape = CAPE.format(base="my_app.models.base")
    named = 'mapped_column(CheckConstraint("length < 9", name="short"))'
    cape = cape.replace(
        "    length: Mapped[int]\n", f"    length: Mapped[int] = {named}\n"
    )
    model = project.write("src/my_app/models/cape.py", cape)
    project.upgraded()
    assert "ck_capes_short" in new_revision(project, "add")
    project.alembic_each(UP_AND_DOWN)
    width = (
        'width: Mapped[int] = mapped_column(CheckConstraint("width < 9", name="thin"))'
    )
    model.write_text(f"{cape}    {width}\n")
    assert "ck_capes_thin" in new_revision(project, "widen")
    project.alembic_each(UP_AND_DOWN)


def test_index_that_is_built_concurrently_gets_an_autocommit_block(new: New) -> None:
    project = new(ENGINE_OF["postgresql-psycopg-sync"]).upgraded()
    model = project / "src/my_app/models/hero.py"
    source = model.read_text().replace("import String", "import Index, String")
    model.write_text(
        source + '\n\nIndex("ix_age", Hero.age, postgresql_concurrently=True)\n'
    )
    content = new_revision(project, "concurrently")
    assert content.count("with op.get_context().autocommit_block():") == 2
    project.alembic_each(NEWEST_UP_AND_DOWN)


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_difference_is_one_line_with_both_sides(new: New, engine: Engine) -> None:
    project = new(engine).upgraded()
    model = project / "src/my_app/models/hero.py"
    model.write_text(model.read_text().replace("String(100)", "String(90)", 1))
    line = last_line(project.alembic("check", fails=True))
    assert re.search(
        r"heroes column name type: .*\(90\) in the models, .*\(100\) in the database",
        line,
    )
    content = new_revision(project, "narrower")
    assert re.search(r"# REVIEW: .*heroes\.name .*SELECT DISTINCT name", content)


LETTERS = """
from sqlalchemy import CheckConstraint, Enum


class Letter(Base):
    __tablename__ = "letters"
    __table_args__ = (CheckConstraint("y NOT IN ('q', 'r')", name="no"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    x: Mapped[int] = mapped_column(index=True)
    y: Mapped[str] = mapped_column(
        Enum(VALUES, native_enum=False, create_constraint=True, name="y")
    )
"""


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_only_rows_that_a_list_leaves_out_want_a_review(
    new: New, engine: Engine
) -> None:
    """One value more breaks no row; one less, or one more in a NOT IN, may."""
    project = new(engine).upgraded()
    hero = project.read("src/my_app/models/hero.py")
    lines: list[str] = []

    def letters(values: str, no: str = "'q', 'r'") -> str:
        text = LETTERS.replace("VALUES", values).replace("'q', 'r'", no)
        project.write("src/my_app/models/hero.py", hero + text)
        lines.append(last_line(project.alembic("check", fails=True)))
        name = f"letters {len(lines)}"
        project.alembic("revision", "--autogenerate", "-m", name)
        project.upgraded()
        return project.revision(name).read_text()

    letters("'a', 'b'")
    assert "'letters table: present in the models, none in the database'" in lines[0]
    assert "'letters index ix_letters_x: present in the models" in lines[0]
    assert "Column(" not in lines[0]
    wider = letters("'a', 'b', 'it''s'".replace("''", r"\'"))
    assert "REVIEW: rows" not in wider
    copies = "REVIEW: the server copies letters for ck_letters_y, which blocks writes"
    assert (copies in wider) == (engine.database == "mariadb")
    assert "# REVIEW: rows may break ck_letters_y" in letters("'a', 'b'")
    assert "# REVIEW: rows may break ck_letters_no" in letters(
        "'a', 'b'", "'q', 'r', 's'"
    )
