"""Scratch databases of PostgreSQL, which copies one by itself."""

from collections.abc import Iterable

from sqlalchemy import URL, Connection, text

from .scratch import ScratchDatabase
from .servers import on_server

SERVER = "postgres"  # there is no connection without a database, and this one is there

# A line for each column, constraint, index, view and ENUM type. Objects of users have numbers
# from 16384 on.
LINES = """
SELECT concat(relname, ': ', line)
FROM (
    SELECT oid AS relation, 'TABLE' AS line FROM pg_class
    UNION ALL
    SELECT attrelid, concat_ws(
        ' ', quote_ident(attname), format_type(atttypid, atttypmod),
        'COLLATE ' || nullif(nullif(attcollation, 0), 100)::regcollation,
        CASE WHEN attnotnull THEN 'NOT NULL' END, nullif(attidentity::text, ''), sequence,
        nullif(attgenerated::text, ''), 'DEFAULT ' || pg_get_expr(adbin, adrelid),
        'COMMENT ' || quote_literal(description)
    )
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    LEFT JOIN pg_description d
    ON classoid = 'pg_class'::regclass AND d.objoid = attrelid AND d.objsubid = attnum
    LEFT JOIN (
        SELECT refobjid, refobjsubid, concat_ws(
            ' ', seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle
        ) AS sequence
        FROM pg_sequence JOIN pg_depend ON objid = seqrelid AND deptype = 'i'
    ) AS identities ON refobjid = attrelid AND refobjsubid = attnum
    WHERE attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT conrelid, concat_ws(
        ' ', quote_ident(conname), pg_get_constraintdef(oid),
        'COMMENT ' || quote_literal(obj_description(oid, 'pg_constraint'))
    ) FROM pg_constraint
    UNION ALL SELECT indrelid, pg_get_indexdef(indexrelid) FROM pg_index
) AS lines
JOIN pg_class t ON t.oid = relation JOIN pg_namespace n ON n.oid = relnamespace
WHERE relation >= 16384 AND relkind IN ('r', 'p')
AND nspname = coalesce(:schema, current_schema())
UNION ALL
SELECT concat('view ', relname, ': ', pg_get_viewdef(c.oid))
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'v' AND c.oid >= 16384 AND nspname = coalesce(:schema, current_schema())
UNION ALL
SELECT concat('type ', typname, ': ', string_agg(enumlabel, ', ' ORDER BY enumsortorder))
FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace LEFT JOIN pg_enum ON enumtypid = t.oid
WHERE typtype = 'e' AND nspname = coalesce(:schema, current_schema()) GROUP BY t.oid, typname
"""


def read_schema(connection: Connection, schema: str | None, _: object) -> Iterable[str]:
    """Return what a schema has, in PostgreSQL's own words."""
    return connection.scalars(text(LINES), {"schema": schema})


def url_of(beside: URL, name: str) -> URL:
    """Return the URL of a scratch database."""
    return beside.set(database=name)


def create(scratch: ScratchDatabase, template: ScratchDatabase | None) -> None:
    """Create a database that is empty, or a copy of a template."""
    name = quote(scratch.name)
    statements = [f"CREATE DATABASE {name}"]
    if template:
        statements[0] += f" TEMPLATE {quote(template.name)}"
    else:  # each revision commits, and no test waits for the disk
        statements += [f"ALTER DATABASE {name} SET synchronous_commit = off"]
    on_server(scratch, lambda _: statements, SERVER)


def drop(scratch: ScratchDatabase, name: str) -> None:
    """Drop a database, even if a test left a connection open."""
    statement = f"DROP DATABASE IF EXISTS {quote(name)} WITH (FORCE)"
    on_server(scratch, lambda _: [statement], SERVER)


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
