"""A module that defines a table is known by its text, since nothing imports it."""

from __future__ import annotations

import json

from support.projects import New

# Sources by what they are: modules with a table, or without any.
TABLES = [
    'class X(Base):\n    __tablename__ = "x"',
    'class X(Base):\n    __tablename__: str = "x"',
    'class X(Base):\n    """A table."""\n\n    __tablename__ = "x"',
    'def f():\n\tclass X(Base):\n\t\t__tablename__\t=\t"x"',
    'class X(Base):\r\n    __tablename__ = "x"',
    "class X(db.Model):\n    pass",
    "class X(db.Model, Y):\n    pass",
    "class X(\n    Y,\n    db.Model,\n):\n    pass",
    "class X(SQLModel, table=True):\n    pass",
    "class X(\n    HeroBase,\n    table=True,\n):\n    pass",
    "class X(Base, table = True):\n    x: list[Y] = R(b=f(1))",
    "class X(Base):\n    id: Mapped[int] = mapped_column(primary_key=True)",
    "@dataclass\nclass X(Mixin, orm.OwnBase[int]):\n    id: orm.Mapped[int]",
    'class X(Entity):\n    """A thing."""\n\n    id = sa.Column(sa.Integer)',
    'class X(Base):\n    """Not `__abstract__`."""\n\n    id: Mapped[int]',
    "class X(db.Model, metaclass=Y):\n    def f(self):\n        self.__abstract__ = True",
    "class X(db.Model):\n    __abstract__ = True\n\n\nclass Y(db.Model):\n    pass",
    'x = Table("x", m)',
    "x: Table = sa.Table('x', m)",
    'x = db.Table(\n    "x",\n    m,\n)',
]
NO_TABLES = [
    '"A Table. Its __tablename__ is x."',
    "x = \"__tablename__ = 'x'\"",
    'x = Y.__tablename__\nY.__tablename__ = "x"',
    "class X:\n    def f(self):\n        return self.__tablename__",
    "class X(db.Model):\n    __abstract__ = True",
    'class X(db.Model):\n    """A mixin."""\n\n    __abstract__ = True\n\n\nclass Y:\n    pass',
    "class X(SQLModel):\n    pass",
    'x = MyTable("x", m)',
    '# x = Table("x", m)',
    "x = Table(name, m)",
    'x = Table("x")',
    "x: db.Model",
    "class X(Model):\n    pass",
    "class X(db.Models):\n    pass",
    'Table("Name", "Age")',
    "class X:\n    __tablename__: str",
    'class X(Base):\n    """Before:\n\n    __tablename__ = "x"\n    """',
    "class X(Mixin):\n    id: Mapped[int] = mapped_column()",
    "class X:\n    id: Mapped[int] = mapped_column()",
    "class X(MappedAsDataclass):\n    id: Mapped[int] = mapped_column()",
    "class Base(MappedAsDataclass, DeclarativeBase):\n    id: Mapped[int]",
    "class X(Base):\n    __abstract__ = True\n    id: Mapped[int]",
    "class X(BaseModel):\n    name: str = Field(alias=Column())",
    "class X(SQLModel):\n    id: int = Field(sa_column=Column(Integer))",
    "class X(Base):\n    @declared_attr\n    def __tablename__(cls):\n        return 'x'",
    "class X(Base):\n    x: Mapped[",
    'down_revision = None\nx = sa.Table("x", m)',
]

FOUND = """
import json, os, sys
from pathlib import Path
sys.path.append("migrations")
from migration_kit.autogenerate.models import TABLE, defines_tables

path, found = Path("spelled.py"), []
for source in json.loads(os.environ["SOURCES"]):
    path.write_bytes(source.encode())
    found.append(defines_tables(path, TABLE.format("|Entity")))
print(json.dumps(found))
"""


def test_tables_are_found_in_the_usual_spellings(new: New) -> None:
    sources = [*TABLES, *NO_TABLES]
    found = json.loads(new().python(FOUND, SOURCES=json.dumps(sources)))
    wrong = [
        source
        for source, is_found in zip(sources, found, strict=True)
        if is_found != (source in TABLES)
    ]
    assert wrong == []
