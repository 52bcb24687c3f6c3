"""docs/schema.md draws models and revisions."""

from __future__ import annotations

import shutil

from support.damage import change_model, two_heads
from support.projects import New
from support.revisions import HERO
from support.variants import ENGINE_OF


def test_drawing_follows_models_and_revisions(new: New) -> None:
    project = new()
    page = project / "docs/schema.md"
    change_model(project)
    output = project.kit("draw --check", fails=True)
    assert output.startswith(
        "FAILED: docs/schema.md is out of date. Run `uv run python "
    )
    project.kit("draw")
    project.kit("draw --check")
    assert "    INTEGER power\n" in page.read_text()

    two_heads(project)
    path = project / "migrations/versions/two.py"
    path.write_text(path.read_text().replace("two", "two <b> & #d", 1))
    project.kit("draw --check", fails=True)
    project.kit("draw")
    assert f"    r{HERO} --> rone\n" in page.read_text()
    assert 'rtwo["two<br>two #lt;b#gt; #amp; #35;d"]' in page.read_text()
    shutil.rmtree(page.parent)
    project.kit("draw --check", fails=True)
    project.kit("draw")
    assert page.exists()


MODELS = """\
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Enum, ForeignKey, Integer, Numeric, UniqueConstraint
from sqlalchemy.dialects.postgresql import INET, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class Event(Base):
    __tablename__ = "events"
    __table_args__ = {"schema": "audit"}

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), unique=True)
    kind: Mapped[str] = mapped_column(Enum("in", "out", name="kind", schema="audit"))
    mood: Mapped[str] = mapped_column(Enum("up", "down", name="mood"))
    size: Mapped[str] = mapped_column(Enum("s", "m", name="size", native_enum=False))
    marks: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    data: Mapped[dict[str, str] | None] = mapped_column(JSONB, comment="as sent")
    price: Mapped[int] = mapped_column(Numeric(10, 2))


class Detail(Base):
    __tablename__ = "details"
    __table_args__ = (UniqueConstraint("address"), {"schema": "audit"})

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(INET)
    event_id: Mapped[UUID] = mapped_column(ForeignKey("audit.events.id"), index=True)
    hero_id: Mapped[int] = mapped_column(ForeignKey("heroes.id"))
"""
DRAWN = """\
erDiagram
  "audit.details" {
    INTEGER id PK
    UUID event_id FK "indexed"
    INTEGER hero_id FK
    INET address UK
  }
  "audit.events" {
    UUID id PK
    TIMESTAMP_WITH_TIME_ZONE at UK
    JSONB data "as sent,nullable"
    audit_kind kind
    INTEGER[] marks
    mood mood
    NUMERIC(10-2) price
    ENUM size
  }
  heroes {
    INTEGER id PK
    INTEGER age "nullable"
    VARCHAR(100) name "indexed"
    VARCHAR(100) secret_name
  }
  "audit.events" ||--o{ "audit.details" : event_id
  heroes ||--o{ "audit.details" : hero_id
```
"""


def test_types_and_schemas_are_drawn_as_postgresql_names_them(new: New) -> None:
    project = new(ENGINE_OF["postgresql-psycopg-sync"])
    project.write("src/my_app/models/event.py", MODELS)
    init = "src/my_app/models/__init__.py"
    project.write(init, project.read(init) + "from my_app.models import event\n")
    project.kit("draw")
    assert DRAWN in project.read("docs/schema.md")
