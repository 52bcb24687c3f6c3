"""What a generated project's own migration tests find, and say."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from support import layout
from support.damage import change_model, empty_downgrade, two_heads
from support.projects import New, Project
from support.variants import ONE_OF_EACH, POSTGRESQL, Engine, Variant


def break_head(project: Project) -> None:
    (project / "migrations/HEAD").write_text("another\n")


def hide_model(project: Project) -> None:
    (project / "src/my_app/other.py").write_text(
        "from sqlalchemy.orm import Mapped, mapped_column\n\n"
        "from my_app.models import Base\n\n\n"
        "class Cape(Base):\n"
        '    __tablename__ = "capes"\n'
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
    )


def refusing_downgrade(project: Project) -> None:
    project.add_revision("one", "pass", 'raise NotImplementedError("write it")')


def import_model(project: Project) -> None:
    path = project.add_revision("one", "pass", '"""Nothing was done."""')
    path.write_text(f"from my_app.models import Base, hero\n{path.read_text()}")


def leave_column(project: Project) -> None:
    project.add_revision(
        "one",
        'op.add_column("heroes", sa.Column("power", sa.Integer()))',
        '"""Forgotten."""',
    )


def fail_downgrade(project: Project) -> None:
    project.add_revision("one", "pass", 'op.drop_table("nothing")')


@pytest.mark.parametrize(
    ("damage", "test", "says"),
    [
        (
            break_head,
            "test_head_file_names_the_head",
            f"`python {layout.command('head')}`",
        ),
        (
            two_heads,
            "test_history_has_one_head",
            f"`python {layout.command('rebase')} YOURS`",
        ),
        (
            change_model,
            "test_models_equal_the_migrated_schema",
            "`alembic revision --autogenerate -m",
        ),
        (
            hide_model,
            "test_every_model_is_loaded",
            "my_app.other: tables that Alembic does not see; import the module where env.py",
        ),
        (empty_downgrade, "test_no_downgrade_is_empty", "write the way back"),
        (refusing_downgrade, "test_no_downgrade_is_empty", "write the way back"),
        (import_model, "test_no_revision_imports_models", "sa.table("),
        (
            leave_column,
            "test_each_revision_goes_up_down_and_up",
            "left: columns of heroes: name power",
        ),
        (
            fail_downgrade,
            "test_each_revision_goes_up_down_and_up",
            "roundtrip stopped: migrations/versions/one.py, line 17: ",
        ),
    ],
)
def test_migration_tests_say_what_is_wrong(
    new: New, damage: Callable[[Project], None], test: str, says: str
) -> None:
    project = new()
    only = ("tests/test_migrations.py", "-k", test)
    assert "1 passed" in project.own_tests(*only)
    damage(project)
    output = project.own_tests(*only, fails=True)
    assert "1 failed" in output
    assert says in output


def test_revision_may_import_the_modules_of_column_types(
    new: New,
) -> None:
    """Autogenerate imports the modules of column types; they are no models."""
    project = new()
    (project / "src/my_app/types.py").touch()
    path = project.add_revision("one", "pass", '"""Nothing was done."""')
    path.write_text(f"import my_app.types\n{path.read_text()}")
    only = ("tests/test_migrations.py", "-k", "test_no_revision_imports_models")
    assert "1 passed" in project.own_tests(*only)


TAKEN_FROM_MODELS = {
    "yes1": ("import my_app.models.hero", "my_app.models.hero.Secret()"),
    "yes2": ("import my_app.models.hero as m", "m.Secret(length=9)"),
    "yes3": ("from my_app.models.hero import Secret", "Secret()"),
    "no1": ("import my_app.models.hero", "my_app.models.hero.Hero.name.type"),
    "no2": ("from my_app.models.hero import Hero", "Hero.name.type"),
    "no3": ("import my_app.models.hero", "sa.String()"),
}


def test_revision_may_take_column_types_from_models(new: New) -> None:
    """Autogenerate writes them so, where a type is defined beside the models."""
    project = new()
    project.edit(
        "src/my_app/models/hero.py",
        "class Hero(",
        "class Secret(String):\n    pass\n\n\nclass Hero(",
    )
    for name, (imports, type_) in TAKEN_FROM_MODELS.items():
        code = f'op.add_column("heroes", sa.Column("secret", {type_}))'
        path = project.add_revision(name, code, '"""Forgotten."""')
        path.write_text(f"{imports}\n{path.read_text()}")
    only = ("tests/test_migrations.py", "-k", "test_no_revision_imports_models")
    output = project.own_tests(*only, fails=True)
    assert "write the table as it is at that revision" in output
    refused = set(re.findall(r"versions/(\w+)\.py: my_app", output))
    assert refused == {"no1", "no2", "no3"}


def test_env_py_without_run_is_named_in_one_line(new: New) -> None:
    project = new()
    line = 'run(target_metadata, package="my_app")'
    project.edit("migrations/env.py", line, "print(target_metadata)")
    only = ("tests/test_migrations.py", "-k", "loaded or imports_models")
    output = project.own_tests(*only, fails=True)
    assert "KeyError" not in output
    assert (
        output.count("env.py does not end with run(target_metadata, package=...)") > 1
    )


FOREIGN_KEY = """
op.create_table("a", sa.Column("id", sa.Integer(), primary_key=True))
with op.batch_alter_table("heroes") as batch:
    batch.create_foreign_key("fk_age", "a", ["age"], ["id"])
"""
CHECK = """
with op.batch_alter_table("heroes") as batch:
    batch.create_check_constraint("positive_age", "age > 0")
"""
DEFAULT = """
with op.batch_alter_table("heroes") as batch:
    batch.alter_column("age", server_default="7", existing_type=sa.Integer())
"""
LEFTOVERS = [
    ('op.create_index("ix_age", "heroes", ["age"])', "indexes of heroes: .*ix_age"),
    (FOREIGN_KEY, "foreign_keys of heroes: .*fk_age"),
    (CHECK, "check_constraints of heroes: .*ck_heroes_positive_age"),
    (DEFAULT, "columns of heroes: .*default '?7"),
    ('op.execute("CREATE VIEW v AS SELECT id FROM heroes")', "view v: "),
]


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize(
    ("upgrade", "left"),
    LEFTOVERS,
    ids=["index", "foreign key", "CHECK", "server default", "view"],
)
def test_roundtrip_finds_what_a_downgrade_leaves(
    new: New, engine: Engine, upgrade: str, left: str
) -> None:
    project = new(engine)
    project.add_revision("one", upgrade, '"""Forgotten."""')
    output = project.own_tests(
        *("tests/test_migrations.py", "-k", "goes_up_down"), fails=True
    )
    assert "migrations/versions/one.py: downgrade" in output
    assert re.search(f"left: {left}", output)


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_roundtrip_finds_a_default_that_is_not_put_back(
    new: New, engine: Engine
) -> None:
    project = new(engine)
    back = DEFAULT.replace('"7"', "None")
    project.add_revision("one", DEFAULT, back)
    eight = DEFAULT.replace("7", "8")
    project.add_revision("two", eight, '"""Forgotten."""', down_revision="one")
    only = ("tests/test_migrations.py", "-k", "goes_up_down")
    output = project.own_tests(*only, fails=True)
    assert re.search("missing: columns of heroes: .*default '?7", output)
    assert re.search("left: columns of heroes: .*default '?8", output)


def test_roundtrip_takes_another_spelling_for_the_same(new: New) -> None:
    """A copied SQLite table has brackets around its defaults, and its indexes are read anew."""
    project = new()
    index = (
        'op.create_index("ix_age", "heroes", ["age"], sqlite_where=sa.text("age > 0"))'
    )
    default = """
with op.batch_alter_table("heroes", recreate="always") as batch:
    batch.add_column(sa.Column("power", sa.Integer(), server_default=sa.text("(1 + 1)")))
"""
    project.add_revision("one", index + default, 'op.drop_index("ix_age", "heroes")')
    project.add_revision(
        "two",
        'with op.batch_alter_table("heroes", recreate="always"):\n    pass',
        '"""Nothing is to be undone."""',
        down_revision="one",
    )
    path = project.versions / "one.py"
    back = 'with op.batch_alter_table("heroes") as batch:\n        batch.drop_column("power")'
    path.write_text(path.read_text().rstrip() + f"\n    {back}\n")
    only = ("tests/test_migrations.py", "-k", "goes_up_down")
    assert "1 passed" in project.own_tests(*only)


def test_roundtrip_finds_a_type_that_is_left(new: New) -> None:
    project = new(POSTGRESQL)
    create = "CREATE TYPE mood AS ENUM ('sad', 'glad')"
    project.add_revision("one", f'op.execute("{create}")', '"""Forgotten."""')
    only = ("tests/test_migrations.py", "-k", "goes_up_down")
    output = project.own_tests(*only, fails=True)
    assert "left: type mood: sad, glad" in output


def test_roundtrip_compares_the_second_upgrade_as_well(new: New) -> None:
    project = new()
    path = project.add_revision(
        "one",
        'op.create_table("capes", sa.Column("id", sa.Integer(), nullable=not ran))\n'
        "ran.append(1)",
        'op.drop_table("capes")',
    )
    path.write_text(path.read_text().replace("import time", "ran = []"))
    only = ("tests/test_migrations.py", "-k", "goes_up_down")
    output = project.own_tests(*only, fails=True)
    assert "migrations/versions/one.py: second upgrade" in output
    assert "one.py: downgrade" not in output


def test_roundtrip_reads_only_the_tables_that_changed(new: New) -> None:
    """Its statements grow with the revisions, not with revisions times tables."""
    counted = [count_statements(new, revisions) for revisions in (5, 45)]
    assert 7 < counted[1] / counted[0] < 9.5


def count_statements(new: New, revisions: int) -> int:
    project = new(Variant(example="none"))
    previous = None
    for number in range(revisions):
        name = f"r{number:03}"
        project.add_revision(
            name,
            f'op.create_table("t{number}", sa.Column("id", sa.Integer()))',
            f'op.drop_table("t{number}")',
            down_revision=previous,
        )
        previous = name
    output = project.python(
        f"{layout.IMPORT_ROUNDTRIP}\n"
        "from pathlib import Path\n"
        "from sqlalchemy import Engine, event\n"
        "count = 0\n"
        "def listen(*_):\n"
        "    global count\n"
        "    count += 1\n"
        "event.listen(Engine, 'before_cursor_execute', listen)\n"
        "with ScratchDatabase(Path('alembic.ini').resolve()).create() as database:\n"
        "    assert roundtrip(database) == []\n"
        "print(count)"
    )
    return int(output.split()[-1])
