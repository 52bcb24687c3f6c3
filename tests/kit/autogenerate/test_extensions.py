"""Types of extensions: imported, without drift, and nothing of an extension is dropped."""

from __future__ import annotations

import pytest

from support.databases import SERVERS, execute, query
from support.projects import New, Project, last_line
from support.variants import POSTGRESQL

MODEL = """\
from typing import Any

from sqlalchemy import Index, func
from sqlalchemy.dialects.postgresql import CITEXT, HSTORE
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class Place(Base):
    __tablename__ = "places"

    id: Mapped[int] = mapped_column(primary_key=True)
"""
CONTRIB = """\
    email: Mapped[str] = mapped_column(CITEXT, unique=True)
    name: Mapped[str] = mapped_column(server_default=func.gen_salt("md5"))
    tags: Mapped[Any] = mapped_column(HSTORE, server_default="")
    __table_args__ = (
        Index("ix_name", "name", postgresql_using="gin",
              postgresql_ops={"name": "gin_trgm_ops"}),
        Index("ix_tags", "tags", postgresql_using="gin"),
    )
"""
POSTGIS = """\
    import geoalchemy2 as geo

    point: Mapped[Any] = mapped_column(geo.Geometry("POINT", srid=4326))
    area: Mapped[Any] = mapped_column(geo.Geography("POLYGON"))
"""
VECTOR = """\
    from pgvector.sqlalchemy import Vector

    embedding: Mapped[Any] = mapped_column(Vector(3))
    __table_args__ = (
        Index("ix_embedding", "embedding", postgresql_using="hnsw",
              postgresql_ops={"embedding": "vector_l2_ops"}),
    )
"""
LTREE = """\
    from uuid import UUID

    from sqlalchemy_utils import LtreeType

    path: Mapped[Any] = mapped_column(LtreeType, server_default="top")
    code: Mapped[UUID] = mapped_column(server_default=func.uuid_generate_v4())
    __table_args__ = (Index("ix_path", "path", postgresql_using="gist"),)
"""
HYPER = """\
    at: Mapped[datetime.datetime] = mapped_column(primary_key=True)
"""
# What TimescaleDB's function leaves on a table, as no package of Debian has TimescaleDB itself.
CREATE_HYPERTABLE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION create_hypertable(regclass, name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE INDEX %s_%s_idx ON %s (%s DESC)', $1, $2, $1, $2);
    EXECUTE format('CREATE TRIGGER ts_insert_blocker BEFORE INSERT ON %s'
        ' FOR EACH ROW EXECUTE FUNCTION refuse()', $1);
END $$;
CREATE SCHEMA _timescaledb_internal
"""
CHUNK = "_timescaledb_internal._hyper_1_1_chunk"
AVAILABLE = "SELECT 1 FROM pg_available_extensions WHERE name = '{}'"
CREATE = "op.execute('CREATE EXTENSION IF NOT EXISTS \"{}\"')"
DROP = "op.execute('DROP EXTENSION \"{}\"')"


def started(new: New, *names: str) -> Project:
    """Return a project whose first revision has created extensions."""
    project = new(POSTGRESQL, example="hero")
    up, down = (
        "\n".join(form.format(name) for name in names) for form in (CREATE, DROP)
    )
    project.add_revision("extensions", up, down)
    project.write("migrations/HEAD", "extensions\n")
    return project.upgraded()


def taken(project: Project, message: str, *models: str) -> str:
    """Write the models and a revision, and take that up and down."""
    project.write("src/my_app/models/place.py", "".join(models))
    project.alembic("revision", "--autogenerate", "-m", message)
    project.alembic_each([["upgrade", "head"], ["check"], ["downgrade", "-1"]])
    project.alembic_each([["upgrade", "head"], ["check"]])
    return project.revision(message).read_text(encoding="utf-8")


def test_types_of_extensions_are_no_drift(new: New) -> None:
    project = started(new, "citext", "hstore", "pg_trgm", "pgcrypto")
    source = taken(project, "create", MODEL, CONTRIB)
    for words in ("postgresql.CITEXT()", "gen_salt('md5')", '"gin_trgm_ops"'):
        assert words in source
    changed = CONTRIB.replace("gin_trgm_ops", "gist_trgm_ops").replace(
        '"gin",', '"gist",', 1
    )
    assert "gist_trgm_ops" in taken(project, "change", MODEL, changed)
    taken(project, "drop")
    project.own_tests()


def test_library_has_the_type_of_ltree(new: New) -> None:
    pytest.importorskip("sqlalchemy_utils")
    project = started(new, "ltree", "uuid-ossp")
    source = taken(project, "create", MODEL, LTREE)
    assert "import sqlalchemy_utils.types.ltree" in source
    assert 'server_default=sa.text("uuid_generate_v4()")' in source
    more = (
        "    more: Mapped[Any] = mapped_column(LtreeType, nullable=True, index=True)\n"
    )
    source = taken(project, "add", MODEL, LTREE, more)
    assert "sqlalchemy_utils.types.ltree.LtreeType()" in source
    taken(project, "drop")
    project.own_tests()


def test_hypertable_keeps_its_index_and_trigger(new: New) -> None:
    project = new(POSTGRESQL, example="hero").upgraded()
    execute(project.url, CREATE_HYPERTABLE)
    model = project.write("src/my_app/models/place.py", MODEL + HYPER)
    project.edit(
        "src/my_app/models/place.py", "from typing", "import datetime\nfrom typing"
    )
    project.alembic("revision", "--autogenerate", "-m", "create")
    path = project.revision("create")
    call = "op.execute(\"SELECT create_hypertable('places', 'at')\")"
    path.write_text(
        path.read_text().replace("    # ### end", f"    {call}\n    # ### end", 1)
    )
    assert "SELECT create_hypertable('places', 'at');" in project.alembic(
        "upgrade", "head", "--sql"
    )
    project.alembic_each([["upgrade", "head"], ["check"]])
    execute(project.url, f"CREATE TABLE {CHUNK} () INHERITS (places)")
    assert "No new upgrade operations detected" in project.alembic("check")
    model.write_text(model.read_text() + "    name: Mapped[str | None]\n")
    project.alembic("revision", "--autogenerate", "-m", "add")
    source = project.revision("add").read_text()
    assert "op.add_column(" in source
    assert "places_at_idx is left alone" in source
    assert source.count("_idx") == 1
    assert "_hyper" not in source
    project.alembic_each([["upgrade", "head"], ["check"], ["downgrade", "-1"]])
    execute(project.url, f"DROP TABLE {CHUNK}")
    project.alembic("downgrade", "-1")


def test_missing_function_is_one_line_with_the_statement(new: New) -> None:
    project = new(POSTGRESQL)
    for number, call in enumerate(
        ("uuid_generate_v4()", "create_hypertable('heroes', 'id')")
    ):
        project.add_revision(f"one{number}", f'op.execute("SELECT {call}")')
        line = last_line(project.alembic("upgrade", f"one{number}", fails=True))
        assert f"function {call.partition('(')[0]}(" in line
        assert "op.execute('CREATE EXTENSION IF NOT EXISTS" in line


def test_spatial_index_is_made_once(new: New) -> None:
    """And the tables of PostGIS are left alone."""
    if not query(SERVERS["postgresql"], AVAILABLE.format("postgis")):
        pytest.skip("PostgreSQL has no extension postgis")
    project = started(new, "postgis")
    source = taken(project, "create", MODEL, POSTGIS)
    assert "import geoalchemy2.types" in source
    assert source.count("op.create_index") == source.count("spatial_index=False") == 2
    added = (
        POSTGIS + '    line: Mapped[Any] = mapped_column(geo.Geometry("LINESTRING"))\n'
    )
    assert taken(project, "add", MODEL, added).count("op.create_index") == 1
    project.alembic("downgrade", "-1")
    project.alembic("upgrade", "head")
    assert "spatial_ref_sys" not in taken(project, "drop")


def test_missing_extension_is_one_line_with_the_statement(new: New) -> None:
    """Its types are imported, and the revision is as if the server had it."""
    project = new(POSTGRESQL, example="hero").upgraded()
    project.write("src/my_app/models/place.py", MODEL + VECTOR)
    project.alembic("revision", "--autogenerate", "-m", "create")
    sql = project.alembic("upgrade", "head", "--sql")
    assert "embedding VECTOR(3) NOT NULL" in sql
    assert "USING hnsw (embedding vector_l2_ops)" in sql
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert 'type "vector" does not exist' in line
    assert "op.execute('CREATE EXTENSION IF NOT EXISTS" in line
