"""The catalogs of PostgreSQL, whose functions write each definition out."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Connection, Dialect, text

from . import Catalog

# That of an identity has the type of its column.
SEQUENCE = """format(
    '%sSTART WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s CYCLE',
    CASE WHEN deptype = 'i' THEN '' ELSE format('AS %s ', format_type(seqtypid, -1)) END,
    seqstart, seqincrement, seqmin, seqmax, seqcache, CASE WHEN NOT seqcycle THEN ' NO' END
)"""

# Read with an empty search path, so that each name has its schema. Numbers of objects are not in
# it, nor parts of partitioned tables, with the copies of keys that those have (`conparentid`).
QUERY = f"""
WITH extended AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
schemas AS (SELECT oid, nspname FROM pg_namespace WHERE nspname = ANY(CAST(:schemas AS text[]))),
relations AS (
    SELECT c.*, nspname FROM pg_class c JOIN schemas n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT relispartition
    AND ('pg_class'::regclass, c.oid) NOT IN (SELECT * FROM extended)
),
tables AS (SELECT * FROM relations WHERE relkind <> 'S'),
types AS (
    SELECT t.*, nspname FROM pg_type t JOIN schemas n ON n.oid = typnamespace
    WHERE ('pg_type'::regclass, t.oid) NOT IN (SELECT * FROM extended)
),
sequences AS (
    SELECT seqrelid, {SEQUENCE} AS sequence, refobjid, refobjsubid, deptype FROM pg_sequence
    LEFT JOIN pg_depend ON classid = 'pg_class'::regclass AND objid = seqrelid
    AND deptype IN ('a', 'i')
)
SELECT nspname, relname, 'table' AS kind, '' AS name, aspect, value FROM tables c,
LATERAL (SELECT upper((pg_identify_object('pg_class'::regclass, c.oid, 0)).type) AS what) AS k,
LATERAL (SELECT string_agg(o, ', ' ORDER BY o) AS options FROM unnest(reloptions) o
    WHERE o NOT LIKE 'autovacuum%') AS o,
LATERAL (VALUES
    ('kind', CASE WHEN relpersistence = 'u' THEN 'UNLOGGED ' ELSE '' END || what),
    ('partition', CASE relkind WHEN 'p' THEN pg_get_partkeydef(c.oid) END),
    ('options', options),
    ('comment', obj_description(c.oid, 'pg_class')),
    ('view', CASE WHEN what LIKE '%VIEW' THEN format('CREATE %s %s%s AS%s', what, c.oid::regclass,
        ' WITH (' || options || ')', rtrim(pg_get_viewdef(c.oid), ';')) END)
) AS aspects (aspect, value)
UNION ALL
SELECT * FROM (
    SELECT nspname, relname, 'column', attname, aspect, value FROM tables c
    JOIN pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
    JOIN pg_type t ON t.oid = atttypid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    LEFT JOIN sequences ON refobjid = c.oid AND refobjsubid = attnum,
    LATERAL (SELECT pg_get_expr(adbin, adrelid) AS expression) AS e,
    LATERAL (SELECT CASE WHEN attidentity = 'a' THEN 'ALWAYS' WHEN attidentity = 'd'
        THEN 'BY DEFAULT' WHEN expression = format('nextval(%L::regclass)', seqrelid::regclass)
        THEN 'SERIAL' END AS identity) AS i,
    LATERAL (VALUES
        ('type', format_type(atttypid, atttypmod)),
        ('collation', CASE WHEN attcollation <> typcollation
            THEN attcollation::regcollation::text END),
        ('computed', CASE attgenerated WHEN '' THEN NULL
            ELSE format('(%s)%s', expression, CASE attgenerated WHEN 's' THEN ' STORED' END) END),
        ('identity', identity),
        ('sequence', CASE WHEN identity IS NOT NULL THEN sequence END),
        ('default', CASE WHEN attgenerated = '' AND identity IS NULL THEN expression END),
        ('nullable', CASE WHEN attnotnull THEN 'NOT NULL' END),
        ('comment', col_description(c.oid, attnum)),
        ('sql', seqrelid::regclass::text)
    ) AS aspects (aspect, value)
    WHERE relkind NOT IN ('v', 'm') ORDER BY attnum
) AS columns
UNION ALL
SELECT nspname, relname, CASE contype WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreignkey'
    WHEN 'p' THEN 'primary' WHEN 'u' THEN 'unique' ELSE 'exclude' END, conname, aspect, value
FROM tables c JOIN pg_constraint k ON conrelid = c.oid,
LATERAL (VALUES
    ('definition', regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '')),
    ('comment', obj_description(k.oid, 'pg_constraint'))
) AS aspects (aspect, value)
WHERE contype IN ('c', 'f', 'p', 'u', 'x') AND conparentid = 0
UNION ALL
SELECT nspname, c.relname, 'index', i.relname, 'definition',
    replace(pg_get_indexdef(i.oid), ' ON ONLY ', ' ON ') || CASE WHEN indisvalid THEN '' ELSE ' INVALID' END
FROM tables c JOIN pg_index ON indrelid = c.oid JOIN pg_class i ON i.oid = indexrelid
WHERE NOT EXISTS (
    SELECT FROM pg_constraint WHERE conindid = i.oid AND contype IN ('p', 'u', 'x')
)
UNION ALL
SELECT nspname, relname, 'trigger', tgname, 'definition', pg_get_triggerdef(t.oid)
FROM tables c JOIN pg_trigger t ON tgrelid = c.oid WHERE NOT tgisinternal
UNION ALL
SELECT nspname, '', 'sequence', relname, 'definition', sequence
FROM relations c JOIN sequences ON seqrelid = c.oid WHERE refobjid IS NULL
UNION ALL
SELECT nspname, '', 'enum', typname, 'definition',
    coalesce(string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder), '')
FROM types t LEFT JOIN pg_enum ON enumtypid = t.oid WHERE typtype = 'e' GROUP BY 1, 4
UNION ALL
SELECT nspname, '', 'domain', typname, aspect, value FROM types t, LATERAL (
    VALUES ('type', format_type(typbasetype, typtypmod)),
    ('collation', (SELECT t.typcollation::regcollation::text FROM pg_type b
        WHERE b.oid = t.typbasetype AND b.typcollation <> t.typcollation)),
    ('default', typdefault),
    ('nullable', CASE WHEN typnotnull THEN 'NOT NULL' END)
    UNION ALL SELECT 'check ' || conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contypid = t.oid AND contype = 'c'
) AS aspects (aspect, value) WHERE typtype = 'd'
UNION ALL
SELECT nspname, '', 'function', format('%s(%s)', proname, pg_get_function_identity_arguments(p.oid)),
    'definition', pg_get_functiondef(p.oid)
FROM pg_proc p JOIN schemas n ON n.oid = pronamespace WHERE prokind IN ('f', 'p')
AND ('pg_proc'::regclass, p.oid) NOT IN (SELECT * FROM extended)
"""

# A literal, with what makes it a name; a quoted name; a word that may be a schema.
WORDS = re.compile(r"""'(?:[^']|'')*'(?:::regclass\b)?|"(?:[^"]|"")*"\.?|[\w$]+\.?""")

# The list of an IN: what PostgreSQL says of it, it reads as casts of each value.
VALUE = r"'(?:[^']|'')*'::character varying"
VALUES = re.compile(rf"\(ARRAY\[({VALUE}(?:, {VALUE})*)\]\)::text\[\]")


def read(
    connection: Connection, schemas: Mapping[str, str], others: Mapping[str, str] = {}
) -> Catalog:
    """Return what schemas of PostgreSQL have.

    Args:
        connection: in a transaction or on autocommit; it is left as it was.
        schemas: those to read, each with the name by which to show it.
        others: those that definitions name as well.
    """
    words: dict[str, str] = {}
    for name, other in {**others, **schemas}.items():
        quoted = name.replace('"', '""')
        shown = f"{quote(connection.dialect, other)}." if other else ""
        words[f"{name}."] = words[f'"{quoted}".'] = shown

    def word(match: re.Match[str]) -> str:
        found = match[0]
        if found.endswith("::regclass"):
            return f"'{WORDS.sub(word, found[1:-11])}'::regclass"
        return words.get(found, found)

    catalog: Catalog = {}
    with undone(connection):
        search(connection, "")
        rows = connection.execute(text(QUERY), {"schemas": [*schemas]}).all()
    for schema, table, kind, name, aspect, value in rows:
        if value is not None:
            objects = catalog.setdefault((schemas[schema], table), {})
            if aspect != "comment":
                value = VALUES.sub(cast_each, WORDS.sub(word, value))
            objects[kind, name, aspect] = value
    return catalog


def quote(dialect: Dialect, name: str) -> str:
    """Return a name as the server has it; some drivers want each percent twice."""
    preparer = dialect.identifier_preparer
    quoted = preparer.quote(name)
    return quoted.replace("%%", "%") if preparer._double_percents else quoted


def cast_each(match: re.Match[str]) -> str:
    return "ARRAY[" + re.sub(VALUE, r"(\g<0>)::text", match[1]) + "]"


def search(connection: Connection, path: str) -> None:
    """Set the search path, until the transaction or savepoint ends."""
    statement = text("SELECT set_config('search_path', :path, true)")
    connection.execute(statement, {"path": path})


@contextmanager
def undone(connection: Connection) -> Iterator[None]:
    """Undo everything at the end, within a transaction or on autocommit."""
    own = connection.connection.dbapi_connection
    autocommit = (
        own is not None
        and connection.dialect.detect_autocommit_setting(own)
        and not connection.in_nested_transaction()
    )
    if autocommit:
        connection.exec_driver_sql("BEGIN")
    savepoint = connection.begin_nested()
    try:
        yield
    finally:
        savepoint.rollback()
        if autocommit:
            connection.exec_driver_sql("ROLLBACK")
