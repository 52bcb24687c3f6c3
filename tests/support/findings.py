"""What a revision may do, and what `lint` finds in it on each database."""

from __future__ import annotations

START = """
op.create_table(
    "capes",
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("name", sa.String(80), nullable=False, unique=True),
    sa.Column("age", sa.Integer()),
    sa.Column("big", sa.BigInteger()),
    sa.Column("price", sa.Numeric(10, 2)),
    sa.Column("ratio", sa.Double()),
    sa.Column("made", sa.DateTime()),
    sa.Column("zoned", sa.DateTime(timezone=True)),
    sa.Column("day", sa.Date()),
    sa.Column("mood", sa.Enum("good", "bad", name="mood")),
    sa.Column("note", sa.Text()),
)
op.create_table("masks", sa.Column("id", sa.Integer(), primary_key=True))
"""


def to(column: str, new: str, **given: str) -> str:
    """Return what changes the type of a column of capes, without saying the old one."""
    more = "".join(f", {name}={value!r}" for name, value in given.items())
    return f"op.alter_column('capes', {column!r}, type_={new}{more})"


def narrowed(column: str, *databases: str, copied: bool = False) -> dict[str, str]:
    """Return that a type gets narrower on some databases, and copied on MySQL otherwise."""
    found = dict.fromkeys(databases, f"narrow-type capes.{column}")
    for database in ("mysql", "mariadb") if copied else ():
        found.setdefault(database, f"table-copy capes.{column}")
    return found


SERVERS = ("postgresql", "mysql", "mariadb")
MYSQL = ("mysql", "mariadb")

# The body of upgrade(), and what is found: on all databases, or by database.
CASES: list[tuple[str, str | dict[str, str]]] = [
    ("op.drop_table('masks')", "drop-table masks"),
    ("op.drop_column('capes', 'age')", "drop-column capes.age"),
    ("op.rename_table('masks', 'hoods')", "rename-table masks"),
    (
        "op.alter_column('capes', 'age', new_column_name='years')",
        "rename-column capes.age",
    ),
    (
        (
            "with op.batch_alter_table('capes') as batch:\n"
            "    batch.drop_column('age')\n"
            "    batch.alter_column('big', new_column_name='large')\n"
            "    batch.add_column(sa.Column('size', sa.Integer()))"
        ),
        "drop-column capes.age, rename-column capes.big",
    ),
    # Columns that rows have no value for.
    (
        "op.add_column('capes', sa.Column('size', sa.Integer(), nullable=False))",
        "required-column capes.size",
    ),
    (
        (
            "op.add_column('capes', sa.Column('size', sa.Integer(), nullable=False,"
            " server_default='1'))"
        ),
        "",
    ),
    ("op.add_column('capes', sa.Column('size', sa.Integer()))", ""),
    (
        (
            "op.add_column('capes', sa.Column('size', sa.Integer()))\n"
            "op.execute('UPDATE capes SET size = 1')\n"
            "op.alter_column('capes', 'size', nullable=False)"
        ),
        "required-column capes.size",
    ),
    (
        (
            "op.add_column('capes', sa.Column('size', sa.Integer(), nullable=False,"
            " server_default='1'))\n"
            "op.alter_column('capes', 'size', server_default=None)"
        ),
        "required-column capes.size",
    ),
    ("op.alter_column('capes', 'age', nullable=False)", "not-null capes.age"),
    ("op.alter_column('capes', 'name', nullable=False)", ""),
    (
        (
            "op.execute('UPDATE capes SET age = 1 WHERE age IS NULL')\n"
            "op.alter_column('capes', 'age', nullable=False)"
        ),
        "",
    ),
    # Types.
    (to("name", "sa.String(20)"), narrowed("name", *SERVERS)),
    (to("name", "sa.String(80)"), ""),
    (to("name", "sa.String(200)"), ""),
    (to("name", "sa.Text()"), narrowed("name", copied=True)),
    (to("note", "sa.String(100)"), narrowed("note", *SERVERS)),
    (to("note", "sa.Integer()"), narrowed("note", "sqlite", *SERVERS)),
    (to("big", "sa.Integer()"), narrowed("big", *SERVERS)),
    (to("age", "sa.BigInteger()"), narrowed("age", copied=True)),
    (to("age", "sa.String(30)"), narrowed("age", copied=True)),
    (to("age", "sa.Boolean()"), narrowed("age", "postgresql", *MYSQL)),
    (to("price", "sa.Numeric(8, 2)"), narrowed("price", *SERVERS)),
    (to("price", "sa.Numeric(12, 1)"), narrowed("price", *SERVERS)),
    (to("price", "sa.Numeric(12, 2)"), narrowed("price", copied=True)),
    (to("ratio", "sa.Integer()"), narrowed("ratio", "sqlite", *SERVERS)),
    (to("zoned", "sa.DateTime()"), narrowed("zoned", "postgresql")),
    (to("made", "sa.DateTime(timezone=True)"), narrowed("made", "postgresql")),
    (
        to(
            *("made", "sa.DateTime(timezone=True)"),
            postgresql_using="made AT TIME ZONE 'UTC'",
        ),
        "",
    ),
    (to("made", "sa.Date()"), narrowed("made", "sqlite", *SERVERS)),
    (to("day", "sa.DateTime()"), narrowed("day", "sqlite", copied=True)),
    (to("mood", "sa.Enum('good', name='mood')"), narrowed("mood", *MYSQL)),
    (to("mood", "sa.Enum('good', 'bad', 'odd', name='mood')"), ""),
    (
        (
            "op.alter_column('shoes', 'size', type_=sa.SmallInteger(),"
            " existing_type=sa.Integer())"
        ),  # of a table that no revision made
        dict.fromkeys(SERVERS, "narrow-type shoes.size"),
    ),
    # Constraints and indexes.
    ("op.create_unique_constraint('uq_age', 'capes', ['age'])", "unique uq_age"),
    ("op.create_index('ix_age', 'capes', ['age'], unique=True)", "unique ix_age"),
    ("op.create_index('ix_age', 'capes', ['age'])", ""),
    ("op.create_unique_constraint('uq', 'capes', ['age', 'name'])", ""),
    (
        (
            "op.add_column('capes', sa.Column('size', sa.Integer()))\n"
            "op.create_unique_constraint('uq', 'capes', ['size'])"
        ),
        "",
    ),
    (
        (
            "op.alter_column('capes', 'name', new_column_name='title')\n"
            "op.create_unique_constraint('uq', 'capes', ['title'])"
        ),
        "rename-column capes.name",
    ),
    (
        "op.create_foreign_key('fk', 'capes', 'masks', ['age'], ['id'])",
        dict.fromkeys(MYSQL, "foreign-key fk"),
    ),
    (
        (
            "op.create_index('ix', 'capes', ['note'], mysql_prefix='FULLTEXT',"
            " mariadb_prefix='FULLTEXT')"
        ),
        dict.fromkeys(MYSQL, "fulltext-index ix"),
    ),
    # A table of the same revisions is empty.
    (
        START.replace('"capes"', '"hats"').replace('"masks"', '"hoods"')
        + "op.drop_column('hats', 'age')\n"
        "op.create_unique_constraint('uq', 'hats', ['big'])\n"
        "op.add_column('hats', sa.Column('size', sa.Integer(), nullable=False))\n"
        "op.alter_column('hats', 'name', type_=sa.String(2))\n"
        "op.rename_table('hats', 'caps')\n"
        "op.execute('DELETE FROM caps')\n"
        "op.drop_table('caps')",
        "",
    ),
    (
        (
            "op.add_column('capes', sa.Column('size', sa.Integer()))\n"
            "op.drop_column('capes', 'size')"
        ),
        "",
    ),
    # Rows.
    ("op.execute(sa.delete(sa.table('masks')))", "delete-all masks"),
    (
        (
            "op.execute(sa.delete(sa.table('masks', sa.column('id')))"
            ".where(sa.column('id') == 1))"
        ),
        "",
    ),
    (
        (
            "if 1 < 2 and 2 >= 2:\n"
            "    capes = sa.table('capes', sa.column('age'))\n"
            "    op.execute(sa.delete(capes).where(capes.c.age > 65))"
        ),
        "",
    ),
    # What takes more to read than operations.
    (
        (
            "bind = op.get_bind()\n"
            "rows = bind.execute(sa.text('SELECT id FROM capes')).all()\n"
            "for row in rows:\n"
            "    bind.execute(sa.text('UPDATE capes SET age = 1'), row.nothing)\n"
            "with sa.orm.Session(bind) as session:\n"
            "    assert session.scalar(sa.text('SELECT count(*) FROM capes')) == 0\n"
            "    session.commit()\n"
            "print('loud')\n"
            "op.drop_column('capes', 'age')"
        ),
        "drop-column capes.age",
    ),
    (
        (
            "columns = sa.inspect(op.get_bind()).get_columns('capes')\n"
            "if 'age' in [column['name'] for column in columns]:\n"
            "    op.drop_column('capes', 'age')\n"
            "if sa.inspect(op.get_bind()).has_table('gloves'):\n"
            "    op.drop_table('gloves')"
        ),
        "drop-column capes.age, drop-table gloves",
    ),
    (
        "if op.get_bind().dialect.name == 'mysql':\n    op.drop_column('capes', 'age')",
        {"mysql": "drop-column capes.age"},
    ),
    (
        (
            "tables = sa.inspect(op.get_bind()).get_table_names()\n"
            "if 'masks' in tables:\n    op.drop_table('masks')\n"
            "for number in (0, 1):\n    op.drop_table(tables[number])"
        ),
        "drop-table masks, unread",
    ),
    (
        "for name in ('age', 'big'):\n    op.drop_column('capes', name)",
        "drop-column capes.age, drop-column capes.big",
    ),
    (
        (
            "row = op.get_bind().execute(sa.text('SELECT name FROM capes')).one()\n"
            "op.drop_column('capes', row.name)\n"
            "op.drop_table('masks')"
        ),
        "unread, drop-table masks",
    ),
    (
        (
            "with op.get_context().autocommit_block():\n"
            "    op.execute('VACUUM')\n"
            "with sa.create_engine('sqlite:///own.db').begin() as connection:\n"
            "    connection.execute(sa.text('CREATE TABLE hats (id INT)'))\n"
            "op.drop_table('masks')"
        ),
        "drop-table masks",
    ),
    (
        (
            "for number in range(5000):\n"
            "    op.get_bind().execute(sa.text('SELECT 1'))\n"
            "op.drop_table('masks')"
        ),
        "drop-table masks",
    ),
    # What a value is as text.
    (to("age", "sa.String(12)"), narrowed("age", copied=True)),
    (to("age", "sa.String(11)"), narrowed("age", copied=True)),
    (to("age", "sa.String(10)"), narrowed("age", *SERVERS)),
    (to("big", "sa.String(20)"), narrowed("big", copied=True)),
    (to("big", "sa.String(19)"), narrowed("big", *SERVERS)),
    (to("price", "sa.String(12)"), narrowed("price", copied=True)),
    (to("price", "sa.String(11)"), narrowed("price", *SERVERS)),
    (to("day", "sa.String(10)"), narrowed("day", copied=True)),
    (to("day", "sa.String(9)"), narrowed("day", *SERVERS)),
    (to("zoned", "sa.String(31)"), narrowed("zoned", *SERVERS)),
]

# SQL of a revision's own; the ones before the mark are found without sqlglot too.
SQL: list[tuple[str, str | dict[str, str]]] = [
    ("DROP TABLE IF EXISTS masks CASCADE", "drop-table masks"),
    ("ALTER TABLE capes DROP COLUMN age", "drop-column capes.age"),
    ("alter table capes add column a int, drop age", "drop-column capes.age"),
    ("ALTER TABLE capes RENAME COLUMN age TO years", "rename-column capes.age"),
    ("ALTER TABLE masks RENAME TO hoods", "rename-table masks"),
    (
        "ALTER TABLE masks RENAME TO hoods; CREATE VIEW masks AS SELECT * FROM hoods",
        "",
    ),
    ("CREATE VIEW hoods AS SELECT * FROM masks; DROP TABLE masks", "drop-table masks"),
    ("TRUNCATE TABLE masks", dict.fromkeys(SERVERS, "delete-all masks")),
    ("RENAME TABLE masks TO hoods", dict.fromkeys(MYSQL, "rename-table masks")),
    ("DELETE FROM masks", "delete-all masks"),
    ("DELETE FROM masks WHERE id = 1", ""),
    ("UPDATE masks SET id = 1; DROP TABLE masks", "drop-table masks"),
    ("INSERT INTO capes (note) VALUES ('DROP TABLE masks')", ""),
    ("-- DROP TABLE masks\\nSELECT 1", ""),
    (
        "CREATE FUNCTION f() RETURNS void AS 'DELETE FROM masks' LANGUAGE sql",
        "",
    ),
    ("CREATE TRIGGER t AFTER INSERT ON capes BEGIN DELETE FROM masks; END", ""),
    ("ALTER TABLE capes DROP CONSTRAINT uq", ""),
]
SQL_BY_SQLGLOT: list[tuple[str, str | dict[str, str]]] = [
    ("CREATE UNIQUE INDEX ix ON capes (age)", "unique ix"),
    (
        (
            "CREATE MATERIALIZED VIEW hats AS SELECT age FROM capes WITH NO DATA;"
            " CREATE UNIQUE INDEX ix ON hats (age)"
        ),
        "",
    ),
    (
        "ALTER TABLE capes ADD CONSTRAINT uq UNIQUE (age)",
        dict.fromkeys(SERVERS, "unique uq"),
    ),
    (
        "ALTER TABLE capes ADD COLUMN size INT NOT NULL",
        "required-column capes.size",
    ),
    ("ALTER TABLE capes ADD COLUMN size INT NOT NULL DEFAULT 1", ""),
    (
        "CREATE TABLE hats (id INT, PRIMARY KEY (id), UNIQUE (id)); DROP TABLE hats",
        "",
    ),
    (
        "ALTER TABLE capes MODIFY name VARCHAR(20) NOT NULL",
        dict.fromkeys(MYSQL, "narrow-type capes.name"),
    ),
    (
        "ALTER TABLE capes ALTER COLUMN big TYPE integer",
        {"postgresql": "narrow-type capes.big"},
    ),
]
