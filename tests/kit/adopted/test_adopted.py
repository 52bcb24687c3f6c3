"""An old history goes on where it was: whatever its env.py knew is named, and nothing begins anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.adopted import DECLARATIVE, REVISION, adopt, write
from support.databases import query
from support.projects import UP_AND_DOWN, Database, New, Project, last_line
from support.variants import ENGINE_OF, POSTGRESQL, Engine


def old_history(
    template: Path,
    tmp_path: Path,
    database: Database,
    folder: str = "versions",
    engine: Engine = ENGINE_OF["sqlite-pysqlite-sync"],
) -> Project:
    """Adopt a project with a revision."""
    write(tmp_path, DECLARATIVE | {f"migrations/{folder}/0001.py": REVISION})
    answers = {"source_dir": "root", "database": engine.database}
    adopt(template, tmp_path, "shop.models:Base", **answers)
    return Project(tmp_path, database(engine.database, engine.driver))


def test_lost_version_locations_are_named(
    template: Path, tmp_path: Path, database: Database
) -> None:
    """An old env.py may have set them in code, as prefect's does."""
    project = old_history(template, tmp_path, database, "versions/sqlite")
    setting = "version_locations = %(here)s/migrations/versions/sqlite"
    for command in (["current"], ["upgrade", "head"], ["upgrade", "head", "--sql"]):
        line = last_line(project.alembic(*command, fails=True))
        assert line == (
            "there is no revision in migrations/versions, but in "
            f"migrations/versions/sqlite. Add the folder to alembic.ini: `{setting}`"
        )
    project.edit("alembic.ini", "timezone = UTC\n", f"timezone = UTC\n{setting}\n")
    project.alembic_each(UP_AND_DOWN)
    assert project.tables() == {"orders"}


def test_folder_of_a_recorded_revision_is_named(
    template: Path, tmp_path: Path, database: Database
) -> None:
    project = old_history(template, tmp_path, database, "archive")
    write(tmp_path, {"migrations/versions/0002.py": REVISION.replace("0001", "0002")})
    query(project.url, "CREATE TABLE alembic_version (version_num VARCHAR(32))")
    query(project.url, "INSERT INTO alembic_version VALUES ('0001')")
    line = last_line(project.alembic("current", fails=True))
    assert ": it is in migrations/archive. Add the folder to alembic.ini" in line


def test_empty_history_may_have_an_archive(
    template: Path, tmp_path: Path, database: Database
) -> None:
    """Where alembic.ini says where the revisions are, no other folder counts."""
    project = old_history(template, tmp_path, database, "archive")
    setting = "version_locations = %(here)s/migrations/versions"
    project.edit("alembic.ini", "timezone = UTC\n", f"timezone = UTC\n{setting}\n")
    project.alembic("revision", "--autogenerate", "-m", "baseline")
    project.alembic_each(UP_AND_DOWN)


@pytest.mark.parametrize(
    "engine",
    [ENGINE_OF["sqlite-pysqlite-sync"], ENGINE_OF["mariadb-pymysql-sync"], POSTGRESQL],
    ids=str,
)
def test_lost_version_table_is_named(
    template: Path, tmp_path: Path, database: Database, engine: Engine
) -> None:
    """An upgrade would begin anew, on tables that are filled."""
    project = old_history(template, tmp_path, database, engine=engine)
    project.edit("alembic.ini", "timezone", "version_table = shop_version\ntimezone")
    project.upgraded()
    project.edit("alembic.ini", "version_table = shop_version\n", "")
    room = project / "migrations/migration_kit/adopted"
    kind = "mysql" if engine.database == "mariadb" else engine.database
    files = {path.stem for path in room.glob("*.py")}
    assert files == {"__init__", "history", "room", kind}
    for command in (["current"], ["check"], ["upgrade", "head"]):
        line = last_line(project.alembic(*command, fails=True))
        assert "alembic_version records no revision, but shop_version has 0001" in line
        assert "Add `version_table = shop_version` to alembic.ini" in line
    project.edit("alembic.ini", "timezone", "version_table = shop_version\ntimezone")
    assert "0001 (head)" in project.alembic("current")
    project.edit("alembic.ini", "version_table = shop_version\n", "")
    project.alembic("stamp", "head")  # who insists, may
    assert "0001 (head)" in project.alembic("current")


def test_lost_schema_of_the_version_table_is_named(
    template: Path, tmp_path: Path, database: Database
) -> None:
    project = old_history(template, tmp_path, database, engine=POSTGRESQL).upgraded()
    query(project.url, "CREATE SCHEMA other")
    query(project.url, "ALTER TABLE alembic_version SET SCHEMA other")
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert (
        "`version_table = alembic_version` and `version_table_schema = other`" in line
    )
    assert query(project.url, "SELECT to_regclass('alembic_version')") == [(None,)]


def test_another_schema_may_have_the_same_history(
    template: Path, tmp_path: Path, database: Database
) -> None:
    """As with a schema for each tenant: there, ours has no table yet."""
    project = old_history(template, tmp_path, database, engine=POSTGRESQL).upgraded()
    query(project.url, "CREATE SCHEMA tenant")
    options = {"options": "-csearch_path=tenant"}
    tenant = project.on(project.url.update_query_dict(options))
    tenant.alembic("upgrade", "head")
    assert query(project.url, "SELECT version_num FROM tenant.alembic_version")


def test_new_project_has_no_room_for_old_histories(new: New) -> None:
    """Its history began with the kit, so that no setting of an old env.py can be lost."""
    project = new()
    assert not (project / "migrations/migration_kit/adopted").exists()
    revision = project.revisions[0]
    project.write(f"migrations/archive/{revision.name}", revision.read_text())
    revision.unlink()
    project.alembic("current")


PLUGIN = """\
import sqlalchemy as sa

metadata = sa.MetaData()
carts = sa.Table("carts", metadata, sa.Column("id", sa.Integer, primary_key=True))
"""


def test_env_py_may_have_several_metadata(
    template: Path, tmp_path: Path, database: Database
) -> None:
    """That of a plugin, say: `metadata_of` takes a list, of owners and of MetaData."""
    project = old_history(template, tmp_path, database)
    project.write("shop/plugin.py", PLUGIN)
    env_py = "migrations/env.py"
    project.edit(env_py, "import Base\n", "import Base\n    from shop import plugin\n")
    project.edit(env_py, "metadata_of(Base)", "metadata_of([Base, plugin.metadata])")
    project.alembic("upgrade", "head")
    project.alembic("revision", "--autogenerate", "-m", "carts")
    assert "carts" in project.revision("carts").read_text()
    project.alembic_each([["upgrade", "head"], ["check"]])
    assert project.tables() == {"orders", "carts"}
    project.edit(env_py, "[Base, plugin.metadata]", "[Base, plugin.nothing]")
    project.write("shop/plugin.py", "nothing = 7\n")
    line = last_line(project.alembic("check", fails=True))
    assert line.startswith("7 has no MetaData, or several. Import your")
