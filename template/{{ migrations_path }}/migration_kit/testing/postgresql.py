"""Scratch databases of PostgreSQL, which copies one by itself."""

from sqlalchemy import URL

from .scratch import ScratchDatabase
from .servers import on_server

SERVER = "postgres"  # there is no connection without a database, and this one is there

# A mark for the state of each table, for less than reflecting it. It is made of definitions, as
# numbers of objects and columns change whenever something is created again. Objects of users have
# numbers from 16384 on.
MARKS = """
SELECT relname, md5(string_agg(mark, ' ' ORDER BY mark))
FROM (
    SELECT attrelid AS relation, concat_ws(
        ' ', quote_ident(attname), format_type(atttypid, atttypmod), attcollation::regcollation,
        attnotnull, attidentity, attgenerated, quote_literal(pg_get_expr(adbin, adrelid)),
        quote_literal(description), sequence
    ) AS mark
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
        quote_literal(obj_description(oid, 'pg_constraint'))
    ) FROM pg_constraint
    UNION ALL SELECT indrelid, pg_get_indexdef(indexrelid) FROM pg_index
) AS marks
JOIN pg_class t ON t.oid = relation JOIN pg_namespace n ON n.oid = relnamespace
WHERE relation >= 16384 AND relkind IN ('r', 'p')
AND nspname = coalesce(:schema, current_schema())
GROUP BY relname
UNION ALL
SELECT '', coalesce(md5(string_agg(mark, ' ' ORDER BY mark)), '')
FROM (
    SELECT concat_ws(' ', relname, pg_get_viewdef(oid)) AS mark, relnamespace AS namespace
    FROM pg_class WHERE relkind = 'v' AND oid >= 16384
    UNION ALL
    SELECT concat_ws(' ', typname, string_agg(enumlabel, ' ' ORDER BY enumsortorder)), typnamespace
    FROM pg_type t LEFT JOIN pg_enum ON enumtypid = t.oid
    WHERE typtype = 'e' GROUP BY typname, typnamespace
) AS others
JOIN pg_namespace n ON n.oid = namespace WHERE nspname = coalesce(:schema, current_schema())
"""


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
