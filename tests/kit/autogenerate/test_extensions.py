"""Types of extensions: imported, without drift, and nothing of an extension is dropped."""

from __future__ import annotations

import pytest

from support.databases import SERVERS, query
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
