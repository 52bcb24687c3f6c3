"""What split revisions meet: rows that do not fit, kills, other commands, other rooms."""

from __future__ import annotations

import re
import threading

import pytest
from sqlalchemy import text

from support.databases import connect, execute, query, url_text
from support.heroes import (
    CAPES,
    CHANGES,
    change,
    modelled,
    models,
    new_sources,
    schema,
    started,
)
from support.projects import Database, New, Project, last_line
from support.variants import ENGINE_OF, POSTGRESQL, Variant

INVALID = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
REQUIRED = "title: Mapped[str] = mapped_column(sa.String(20))"
TENANTS = """
def tenants():
    return ["a", "b"]
"""
UNIQUE = {"email": ", unique=True"}


def invalid(project: Project) -> int:
    [(number,)] = query(project.url, INVALID)
    return int(number)


# ------------------------------------------------------------------------------- Rows


def test_rows_that_do_not_fit_change_nothing(new: New, database: Database) -> None:
    """Else PostgreSQL would refuse each later change of such a row."""
    project = started(new)
    parts = {name: CHANGES["several tables"][1][name] for name in ("team", "args")}
    change(project, **parts, optional="")
    bad = {
        "age = NULL": "SELECT * FROM heroes WHERE age IS NULL",
        "age = -1": "SELECT * FROM heroes WHERE NOT (age >= 0)",
        "team_id = 99": "other.id = heroes.team_id",
    }
    before = schema(project)
    for row, words in bad.items():
        query(project.url, f"UPDATE heroes SET {row} WHERE id = 7")
        line = last_line(project.alembic("upgrade", "head", fails=True))
        assert "rows of heroes break what this revision adds: `SELECT * FROM" in line
        assert words in line
        assert schema(project) == before
        query(project.url, "UPDATE heroes SET note = 'changed' WHERE id = 7")
        query(project.url, "UPDATE heroes SET age = 1, team_id = 1 WHERE id = 7")
    project.alembic("upgrade", "head")
    assert schema(project) == modelled(project, database)


def test_unique_build_that_meets_equal_rows_leaves_no_index(
    new: New, database: Database
) -> None:
    project = started(new)
    change(project, **UNIQUE)
    query(project.url, "UPDATE heroes SET email = 'same' WHERE id < 3")
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert "Key (email)=(same) is duplicated" in line
    assert invalid(project) == 0
    query(project.url, "UPDATE heroes SET email = 'other' WHERE id = 1")
    project.alembic("upgrade", "head")
    assert schema(project) == modelled(project, database)


def test_check_names_an_invalid_index_and_how_to_repair_it(new: New) -> None:
    project = started(new)
    query(project.url, "UPDATE heroes SET email = 'same' WHERE id < 3")
    with pytest.raises(Exception, match="could not create unique index"):
        execute(project.url, "CREATE UNIQUE INDEX CONCURRENTLY left_ ON heroes (email)")
    output = project.alembic("check")
    command = "REINDEX INDEX CONCURRENTLY left_"
    assert (
        f"index left_ of heroes is not valid: its build stopped. Run `{command}`"
        in (output)
    )
    query(project.url, "UPDATE heroes SET email = 'other' WHERE id = 1")
    execute(project.url, command)
    assert "is not valid" not in project.alembic("check")


def test_required_column_waits_for_its_backfill(new: New, database: Database) -> None:
    project = started(new)
    assert change(project, more=REQUIRED) == ["-"]
    path = project.revision("change")
    source = path.read_text()
    assert "Until every row has a value, set nullable=True in the model." in source
    assert "`python migrations backfill fill_heroes_title`" in source
    path.write_text(
        source.replace("...  # REVIEW: the value for existing rows", '"none"')
    )
    project.alembic("upgrade", "head")
    assert "Detected" in project.alembic("check", fails=True)
    assert change(project, "-m", "contract", more=REQUIRED) == ["e", "c", "f"]
    assert "require_backfill('fill_heroes_title')" in new_sources(project).replace(
        '"', "'"
    )
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert "Run `python migrations backfill fill_heroes_title`, then `alembic" in line
    project.run("python", "migrations", "backfill", "fill_heroes_title")
    project.alembic("upgrade", "head")
    assert schema(project) == modelled(project, database)
    project.mypy()
    project.write("src/my_app/models/hero.py", "")  # its parts are not formatted
    project.ruff()


def test_volatile_default_fills_rows_by_a_backfill(
    new: New, database: Database
) -> None:
    project = started(new)
    more = CHANGES["a new column with a volatile default"][1]["more"]
    assert change(project, more=more) == ["-"]
    project.alembic("upgrade", "head")
    [(before,)] = query(project.url, "SELECT count(token) FROM heroes")
    project.run("python", "migrations", "backfill", "fill_heroes_token")
    [(after,)] = query(project.url, "SELECT count(DISTINCT token) FROM heroes")
    assert (before, after) == (0, 200)
    assert schema(project) == modelled(project, database)


# --------------------------------------------------------------------------- Sessions


@pytest.mark.parametrize(
    "name", ["an index of an expression", "an index that changes", "not null"]
)
def test_change_that_is_taken_back(new: New, name: str) -> None:
    """Autogenerate drops what a split revision made."""
    project = started(new)
    before = schema(project)
    change(project, **CHANGES[name][1])
    project.alembic("upgrade", "head")
    change(project, "-m", "back")
    project.alembic_each([["upgrade", "head"], ["check"]])
    assert schema(project) == before


def test_build_has_no_timeout_and_the_rest_keeps_its_own(new: New) -> None:
    project = started(new)
    change(project, **CHANGES["not null"][1], **UNIQUE)
    show = 'print(op.get_bind().exec_driver_sql("SHOW {}").scalar())'
    for path in project.revisions[1:]:
        source = path.read_text()
        for name in ("statement_timeout", "client_connection_check_interval"):
            indent = "        " if "concurrently:" in source else "    "
            end = (
                "\n\n    # ### end" if "concurrently:" in source else "\n    # ### end"
            )
            line = f"\n{indent}{show.format(name)}"
            source = source.replace(end, f"{line}{end}", 1)
        path.write_text(source)
    execute(
        project.url,
        f"ALTER DATABASE {project.url.database} SET statement_timeout = '7s'",
    )
    output = project.alembic("upgrade", "head")
    shown = [line for line in output.splitlines() if re.fullmatch(r"\d+(s|ms)?", line)]
    assert shown == ["7s", "0", "0", "1s", "7s", "0"]


def test_caller_s_transaction_gets_one_clear_line(new: New) -> None:
    project = started(new)
    change(project, **UNIQUE)
    output = project.program("""
with create_engine(URL).begin() as connection:
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except Exception as error:
        print(type(error).__name__, error)
        connection.rollback()
""")
    wanted = "It commits, and the transaction is yours. Give Alembic an engine"
    assert "CommandError upgrade stopped: " in output
    assert wanted in output


def test_deadlock_is_tried_again(new: New) -> None:
    project = started(new)
    project.add_revision(
        "locks",
        'op.execute("LOCK TABLE teams")\ntime.sleep(1)\nop.execute("LOCK TABLE heroes")',
        down_revision="first",
    )
    execute(
        project.url,
        f"ALTER DATABASE {project.url.database} SET deadlock_timeout = '1500ms'",
    )
    process = project.start("alembic", "-x", "ddl_lock_timeout=2", "upgrade", "head")
    with connect(project.url) as other:
        other.execute(text("SET deadlock_timeout = '20s'"))
        other.execute(text("LOCK TABLE heroes"))
        process.wait_for("Running upgrade")
        threading.Event().wait(0.5)
        other.execute(text("LOCK TABLE teams"))
    output = process.finish(60)
    assert process.returncode == 0, output
    assert "A table is busy: trying again" in output


def test_tables_are_locked_in_one_go(new: New) -> None:
    """Three statements that wait for each other would hold the first table for as long."""
    project = started(new)
    project.add_revision(
        "three",
        'op.execute("CREATE TABLE third (id int)")',
        'op.execute("DROP TABLE third")',
        down_revision="first",
    )
    project.add_revision(
        "locks",
        "from migration_kit.online import lock_tables\n"
        'lock_tables("heroes", "teams", "third")',
        down_revision="three",
    )
    project.alembic("upgrade", "three")
    with connect(project.url) as holder:
        holder.execute(text("SELECT * FROM teams"))
        output = project.alembic(
            "-x", "ddl_lock_timeout=0.2", "upgrade", "head", fails=True
        )
        assert (
            "'LOCK TABLE teams IN ACCESS EXCLUSIVE MODE' timed out after 0.2 s"
            in output
        )
    project.alembic("upgrade", "head")


def test_revision_that_changes_three_tables_locks_them_in_one_go(new: New) -> None:
    project = started(new)
    project.write("src/my_app/models/hero.py", models(tables=CAPES))
    project.alembic("revision", "--autogenerate", "-m", "capes")
    project.alembic("upgrade", "head")
    capes = CAPES.replace("int]", "int | None]") + "    cut: Mapped[str | None]\n"
    change(project, team='sa.ForeignKey("teams.id")', optional="", tables=capes)
    assert "lock_tables('capes', 'heroes', 'teams')" in new_sources(project).replace(
        '"', "'"
    )
    project.alembic_each([["upgrade", "head"], ["check"], ["downgrade", "first"]])


# --------------------------------------------------------------------- Other commands


def test_setting_is_off_by_default_and_x_wins(new: New) -> None:
    project = started(new)
    project.write("src/my_app/models/hero.py", models(**UNIQUE))
    command = ("revision", "--autogenerate", "-m")
    project.alembic(*command, "plain")
    assert "CONCURRENTLY" not in project.revision("plain").read_text()
    project.revision("plain").unlink()
    project.edit("alembic.ini", "timezone = UTC\n", "timezone = UTC\nonline = true\n")
    project.alembic("-x", "online=false", *command, "plain")
    assert "CONCURRENTLY" not in project.revision("plain").read_text()
    project.revision("plain").unlink()
    project.alembic(*command, "split")
    names = [path.name.split("_", 4)[-1] for path in project.revisions[1:]]
    assert names == ["concurrently_split.py", "finish_split.py"]
    line = last_line(project.alembic("-x", "online=maybe", *command, "x", fails=True))
    assert "online is 'maybe': it must be true or false" in line
    for path in project.revisions[1:]:
        path.unlink()
    output = project.alembic("-x", "online=true", "check", fails=True)
    assert "uq_heroes_email" in last_line(output)


def test_identifier_is_that_of_the_last_revision(new: New) -> None:
    project = started(new)
    arguments = ("--rev-id", "0007", "-m", "not null", "--branch-label", "blue")
    assert change(project, *arguments, optional="") == ["e", "c", "f"]
    assert project.head() == "0007\n"
    names = [path.stem.partition("-")[2] for path in project.revisions[1:]]
    assert names == [
        "0007_1_expand_not_null",
        "0007_2_concurrently_not_null",
        "0007_finish_not_null",
    ]
    labelled = [
        path.stem
        for path in project.revisions
        if re.search(r'branch_labels.*= (\("blue",\)|"blue")', path.read_text())
    ]
    assert labelled == [project.revisions[1].stem]
    project.alembic("upgrade", "blue@head")
    assert project.version() == ["0007"]


def test_sql_sets_the_timeout_again_after_each_commit(new: New) -> None:
    project = started(new)
    change(project, **CHANGES["not null"][1], **UNIQUE)
    sql = project.alembic("upgrade", "first:head", "--sql")
    for part in sql.split("\nBEGIN;\n")[1:]:
        assert part.lstrip().startswith("SET LOCAL lock_timeout = 5000;")
    assert "-- First, no row may match: SELECT * FROM heroes" in sql
    assert sql.index("COMMIT;") < sql.index("CREATE UNIQUE INDEX CONCURRENTLY")


def test_chain_is_rebased_and_squashed(new: New, database: Database) -> None:
    features = ["autogenerate", "branches", "testing", "squash", "online"]
    project = started(new, features=features)
    change(project, **CHANGES["several tables"][1])
    chain = project.head().strip()
    project.add_revision("theirs", 'op.execute("SELECT 1")', down_revision="first")
    project.rebase(chain)
    names = [path.name for path in project.revisions[1:-1]]
    kinds = ["expand", "concurrently", "finish"]
    assert all(kind in name for kind, name in zip(kinds, names, strict=True))
    project.alembic("upgrade", "head")
    top = schema(project)
    project.commit()
    project.kit(
        "squash", project.head().strip(), TEST_DATABASE_URL=url_text(project.url)
    )
    fresh = project.on(database("postgresql", "psycopg")).upgraded()
    assert (schema(fresh), len(project.revisions)) == (top, 1)
    project.own_tests()


def test_own_tests_of_a_project_take_the_chain(new: New) -> None:
    project = started(new)
    change(project, **CHANGES["several tables"][1])
    project.own_tests()


def test_tenants_with_a_schema_each(new: New) -> None:
    project = new(Variant(POSTGRESQL, tenants="schema"), example="none")
    for tenant in ("a", "b"):
        execute(project.url, f"CREATE SCHEMA {tenant}")
    path = "migrations/tenants.py"
    project.write(path, TENANTS)
    project.write("src/my_app/models/hero.py", models())
    project.alembic("-x", "tenant=a", "revision", "--autogenerate", "-m", "first")
    project.run("python", "migrations", "tenants", "upgrade")
    project.write("src/my_app/models/hero.py", models(**CHANGES["several tables"][1]))
    options = ("-x", "tenant=a", "-x", "online=true")
    project.alembic(*options, "revision", "--autogenerate", "-m", "chain")
    project.run("python", "migrations", "tenants", "upgrade")
    for tenant in ("a", "b"):
        project.alembic("-x", f"tenant={tenant}", "check")


def test_setting_without_the_room_is_refused(new: New) -> None:
    features = ["autogenerate", "branches", "testing"]
    project = started(new, features=features)
    line = last_line(project.alembic("-x", "online=true", "current", fails=True))
    assert "online is 'true', but this project has no online" in line
    assert "features=[branches, autogenerate, testing, online]" in line


def test_mariadb_is_refused(new: New) -> None:
    project = new(ENGINE_OF["mariadb-pymysql-sync"]).upgraded()
    line = last_line(
        project.alembic(
            "-x", "online=true", "revision", "--autogenerate", "-m", "x", fails=True
        )
    )
    assert "true on PostgreSQL only" in line
