"""Everything that a database has, each object with the statement of its own that makes it.

Stricter than reflection, which has no word for a view, a function or an exclusion constraint. What
no statement is known for is read as well: it can be named, and is not lost in silence.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class Definition:
    """An object of a database.

    Attributes:
        kind: what it is, in a word or two: `table`, `index`.
        name: what tells it from others of its kind.
        table: the table that it belongs to or is, with its schema where that is not the default
            one; else empty.
        shape: what is equal in two databases exactly if the object is.
        create: the statement that makes it; empty where none is known.
        drop: the statement that removes it; empty where it goes with its table, or stays.
    """

    kind: str
    name: str
    table: str
    shape: str
    create: str
    drop: str

    @property
    def key(self) -> tuple[str, str]:
        """What identifies it in its database."""
        return self.kind, self.name

    def __str__(self) -> str:
        """Name it for a person."""
        return f"{self.kind} {self.name}"


Definitions = dict[tuple[str, str], Definition]

# Kinds of objects, in an order in which most can be made.
KINDS = [
    "schema",
    "extension",
    "type",
    "domain",
    "sequence",
    "function",
    "procedure",
    "table",
    "partition",
    "constraint",
    "index",
    "foreign key",
    "owner of sequence",
    "rows",
    "value of sequence",
    "statistics",
    "view",
    "rule",
    "trigger",
    "event",
    "row security",
    "policy",
    "comment",
    "other",
]

# What CREATE TABLE and CREATE INDEX of a revision may make.
OF_TABLES = {
    "table",
    "partition",
    "sequence",
    "owner of sequence",
    "constraint",
    "index",
    "foreign key",
    "comment",
}


def read_definitions(connection: Connection) -> Definitions:
    """Return what a database has, in the order in which it was made as far as that is known."""
    readers: dict[str, Callable[[Connection], Iterator[Definition]]] = {
        "sqlite": read_sqlite,
        "postgresql": read_postgresql,
        "mysql": read_mysql,
        "mariadb": read_mysql,
    }
    found = readers[connection.dialect.name](connection)
    return {definition.key: definition for definition in found}


def differences(
    expected: Definitions, found: Definitions
) -> tuple[list[Definition], list[Definition]]:
    """Return what is missing or otherwise in a database, and what is there beside it."""
    missing = [
        definition
        for key, definition in expected.items()
        if key not in found or found[key].shape != definition.shape
    ]
    return missing, [found[key] for key in found.keys() - expected.keys()]


# ------------------------------------------------------------------------------------ PostgreSQL

# A casting to `regclass` or the like quotes a name, and adds the schema where it must stand. Each
# statement gives kind, name, table, shape, create, drop.
TABLE = "CASE n.nspname WHEN current_schema() THEN c.relname ELSE n.nspname || '.' || c.relname END"
OURS = r"n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'"
CLASS = "JOIN pg_class c ON c.oid = {0} JOIN pg_namespace n ON n.oid = c.relnamespace"
NOT_OF_EXTENSION = """
NOT EXISTS (
    SELECT FROM pg_depend WHERE classid = {0}.tableoid AND objid = {0}.oid AND deptype = 'e'
)"""
PARAMETERS = """
format(
    'START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s',
    seqstart, seqincrement, seqmin, seqmax, seqcache, CASE WHEN seqcycle THEN ' CYCLE' END
)"""
COLUMNS = f"""
SELECT string_agg(concat_ws(
    ' ', quote_ident(attname), format_type(atttypid, atttypmod),
    CASE WHEN attcollation <> typcollation THEN 'COLLATE ' || attcollation::regcollation END,
    CASE WHEN attgenerated <> '' THEN format(
        'GENERATED ALWAYS AS (%s) %s', pg_get_expr(adbin, adrelid),
        CASE attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END
    ) ELSE 'DEFAULT ' || pg_get_expr(adbin, adrelid) END,
    CASE WHEN attidentity <> '' THEN format(
        'GENERATED %s AS IDENTITY (SEQUENCE NAME %s %s)',
        CASE attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END,
        seqrelid::regclass, {PARAMETERS}
    ) END,
    CASE WHEN attnotnull THEN 'NOT NULL' END
), E',\\n    ' ORDER BY attnum)
FROM pg_attribute a JOIN pg_type t ON t.oid = atttypid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
LEFT JOIN (
    pg_depend i JOIN pg_sequence ON seqrelid = i.objid AND i.deptype = 'i'
) ON i.refclassid = 'pg_class'::regclass AND i.refobjid = attrelid AND i.refobjsubid = attnum
WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped"""
# What CREATE TABLE as we write it does not say.
FURTHER = """
SELECT concat_ws(
    ' ', relkind, relacl, reltablespace, reloftype, nullif(relreplident, 'd'),
    (SELECT amname FROM pg_am WHERE pg_am.oid = relam),
    string_agg(concat_ws(
        ' ', CASE WHEN attstorage <> typstorage THEN attstorage END,
        nullif(attcompression, ''), attacl, attfdwoptions,
        (SELECT string_agg(o, ',') FROM unnest(attoptions) o WHERE o ~ '^n_distinct'),
        CASE WHEN attstattarget >= 0 THEN attstattarget END
    ), ';' ORDER BY attnum)
)
FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped"""

POSTGRESQL = [
    f"""
SELECT 'schema', nspname, '', concat(nspacl), format('CREATE SCHEMA IF NOT EXISTS %I', nspname), ''
FROM pg_namespace n WHERE {OURS} AND {NOT_OF_EXTENSION.format("n")} ORDER BY oid""",
    """
SELECT 'extension', extname, '', nspname, concat(
    format('CREATE EXTENSION IF NOT EXISTS %I', extname),
    CASE WHEN nspname NOT IN (current_schema(), 'pg_catalog')
    THEN format(' WITH SCHEMA %I', nspname) END
), ''
FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace ORDER BY e.oid""",
    f"""
SELECT 'type', oid::regtype::text, '', made, made, format('DROP TYPE %s', oid::regtype)
FROM (
    SELECT t.oid, CASE typtype
    WHEN 'e' THEN (
        SELECT format(
            'CREATE TYPE %s AS ENUM (%s)', t.oid::regtype,
            string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
        ) FROM pg_enum WHERE enumtypid = t.oid
    )
    WHEN 'c' THEN (
        SELECT format('CREATE TYPE %s AS (%s)', t.oid::regtype, string_agg(
            format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum
        )) FROM pg_attribute WHERE attrelid = typrelid AND NOT attisdropped
    )
    ELSE '' END AS made
    FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace
    LEFT JOIN pg_class c ON c.oid = typrelid
    WHERE {OURS} AND {NOT_OF_EXTENSION.format("t")}
    AND (typtype IN ('e', 'r') OR relkind = 'c' OR typtype = 'b' AND typelem = 0)
) types ORDER BY oid""",
    f"""
SELECT 'domain', t.oid::regtype::text, '', made, made, format('DROP DOMAIN %s', t.oid::regtype)
FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace, LATERAL (SELECT concat_ws(
    ' ', format('CREATE DOMAIN %s AS %s', t.oid::regtype, format_type(typbasetype, typtypmod)),
    CASE WHEN typcollation <> (SELECT typcollation FROM pg_type b WHERE b.oid = t.typbasetype)
    THEN 'COLLATE ' || typcollation::regcollation END,
    'DEFAULT ' || typdefault, CASE WHEN typnotnull THEN 'NOT NULL' END,
    (SELECT string_agg(
        format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)), ' ' ORDER BY conname
    ) FROM pg_constraint WHERE contypid = t.oid AND contype = 'c')
) AS made) m
WHERE {OURS} AND typtype = 'd' AND {NOT_OF_EXTENSION.format("t")} ORDER BY t.oid""",
    f"""
SELECT 'sequence', c.oid::regclass::text, coalesce((
    SELECT {TABLE} FROM pg_depend {CLASS.format("refobjid")}
    WHERE classid = 'pg_class'::regclass AND objid = seqrelid AND deptype = 'a'
), ''), format('%s %s', made, c.relacl), made, format('DROP SEQUENCE IF EXISTS %s', c.oid::regclass)
FROM pg_sequence {CLASS.format("seqrelid")},
LATERAL (SELECT format(
    'CREATE SEQUENCE %s AS %s %s', c.oid::regclass, seqtypid::regtype, {PARAMETERS}
) AS made) m
WHERE {OURS} AND {NOT_OF_EXTENSION.format("c")} AND NOT EXISTS (
    SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = seqrelid
    AND deptype = 'i'
)
ORDER BY c.oid""",
    # What has no schema in front of its name belongs to the default one.
    f"""
SELECT CASE prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
p.oid::regprocedure::text, '', concat(made, proacl), made, format(
    'DROP %s %s', CASE prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, p.oid::regprocedure
)
FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace, LATERAL (SELECT CASE
    WHEN prokind = 'a' THEN ''
    WHEN nspname <> current_schema() THEN pg_get_functiondef(p.oid)
    ELSE regexp_replace(
        pg_get_functiondef(p.oid), format('(FUNCTION|PROCEDURE) %I[.]', nspname), '\\1 '
    )
END AS made) m
WHERE {OURS} AND {NOT_OF_EXTENSION.format("p")} ORDER BY p.oid""",
    f"""
SELECT CASE WHEN relispartition THEN 'partition' ELSE 'table' END, {TABLE}, {TABLE},
concat(made, (SELECT concat('(', columns, ') ') FROM ({COLUMNS}) AS x (columns)), ({FURTHER})),
CASE WHEN relkind <> 'f' AND reloftype = 0 AND reltablespace = 0 THEN made ELSE '' END,
format('DROP TABLE %s', c.oid::regclass)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace, LATERAL (SELECT concat(
    'CREATE ', CASE relpersistence WHEN 'u' THEN 'UNLOGGED ' END, 'TABLE ', c.oid::regclass,
    CASE WHEN relispartition THEN (
        SELECT concat(' PARTITION OF ', inhparent::regclass, ' ', pg_get_expr(relpartbound, c.oid))
        FROM pg_inherits WHERE inhrelid = c.oid
    ) ELSE concat(
        E' (\\n    ', ({COLUMNS}), E'\\n)',
        (
            SELECT format(
                ' INHERITS (%s)', string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno)
            ) FROM pg_inherits WHERE inhrelid = c.oid HAVING count(*) > 0
        )
    ) END,
    CASE WHEN relkind = 'p' THEN ' PARTITION BY ' || pg_get_partkeydef(c.oid) END,
    ' WITH (' || array_to_string(reloptions, ', ') || ')'
) AS made) m
WHERE relkind IN ('r', 'p', 'f') AND {OURS} AND {NOT_OF_EXTENSION.format("c")} ORDER BY c.oid""",
    f"""
SELECT CASE contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END,
{TABLE} || '.' || conname, {TABLE}, pg_get_constraintdef(k.oid, true),
format('ALTER TABLE %s ADD %s', c.oid::regclass, made),
CASE contype WHEN 'f'
THEN format('ALTER TABLE %s DROP CONSTRAINT %I', c.oid::regclass, conname) ELSE '' END
FROM pg_constraint k {CLASS.format("conrelid")}, LATERAL (SELECT format(
    'CONSTRAINT %I %s', conname, pg_get_constraintdef(k.oid, true)
) AS made) m
WHERE contype IN ('p', 'u', 'f', 'c', 'x') AND conparentid = 0 AND conislocal
AND {OURS} AND {NOT_OF_EXTENSION.format("c")}
ORDER BY contype = 'f', k.oid""",
    f"""
SELECT 'index', concat(n.nspname, '.', i.relname), {TABLE}, concat(made, i.reloptions, indisvalid),
made, ''
FROM pg_index JOIN pg_class i ON i.oid = indexrelid {CLASS.format("indrelid")},
LATERAL (SELECT pg_get_indexdef(indexrelid, 0, true) AS made) m
WHERE NOT i.relispartition AND {OURS} AND {NOT_OF_EXTENSION.format("c")} AND NOT EXISTS (
    SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x')
)
ORDER BY indexrelid""",
    f"""
SELECT 'owner of sequence', s.oid::regclass::text, {TABLE}, made, made, ''
FROM pg_depend d JOIN pg_class s ON s.oid = objid AND s.relkind = 'S' {CLASS.format("refobjid")}
JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid,
LATERAL (SELECT format(
    'ALTER SEQUENCE %s OWNED BY %s.%I', objid::regclass, c.oid::regclass, attname
) AS made) m
WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'a' AND {OURS} ORDER BY s.oid""",
    f"""
SELECT 'statistics', {TABLE} || '.' || stxname, {TABLE}, made, made, ''
FROM pg_statistic_ext s {CLASS.format("stxrelid")},
LATERAL (SELECT regexp_replace(
    pg_get_statisticsobjdef(s.oid), format('^CREATE STATISTICS %I[.]', current_schema()),
    'CREATE STATISTICS '
) AS made) m WHERE {OURS} ORDER BY s.oid""",
    f"""
SELECT 'view', {TABLE}, {TABLE}, concat(made, relacl), made, format('DROP %s %s', word, c.oid::regclass)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace, LATERAL (
    SELECT CASE relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS word
) w, LATERAL (SELECT concat(
    format('CREATE %s %s', word, c.oid::regclass),
    ' WITH (' || array_to_string(reloptions, ', ') || ')', ' AS',
    E'\\n', rtrim(pg_get_viewdef(c.oid, true), ';'),
    CASE WHEN NOT relispopulated THEN E'\\nWITH NO DATA' END
) AS made) m
WHERE relkind IN ('v', 'm') AND {OURS} AND {NOT_OF_EXTENSION.format("c")} ORDER BY c.oid""",
    f"""
SELECT 'rule', {TABLE} || '.' || rulename, {TABLE}, concat(made, ev_enabled), made, ''
FROM pg_rewrite r {CLASS.format("ev_class")},
LATERAL (SELECT rtrim(pg_get_ruledef(r.oid, true), ';') AS made) m
WHERE rulename <> '_RETURN' AND {OURS} ORDER BY r.oid""",
    f"""
SELECT 'trigger', {TABLE} || '.' || tgname, {TABLE}, concat(made, tgenabled), made, ''
FROM pg_trigger t {CLASS.format("tgrelid")},
LATERAL (SELECT pg_get_triggerdef(t.oid, true) AS made) m
WHERE NOT tgisinternal AND tgparentid = 0 AND {OURS} ORDER BY t.oid""",
    f"""
SELECT 'row security', {TABLE} || word, {TABLE}, made, made, ''
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace,
LATERAL (VALUES (relrowsecurity, 'ENABLE'), (relforcerowsecurity, 'FORCE')) AS w (is_on, word),
LATERAL (SELECT format('ALTER TABLE %s %s ROW LEVEL SECURITY', c.oid::regclass, word) AS made) m
WHERE is_on AND {OURS} ORDER BY c.oid""",
    f"""
SELECT 'policy', {TABLE} || '.' || polname, {TABLE}, made, made, ''
FROM pg_policy p {CLASS.format("polrelid")}, LATERAL (SELECT concat(
    format('CREATE POLICY %I ON %s', polname, c.oid::regclass),
    CASE WHEN NOT polpermissive THEN ' AS RESTRICTIVE' END, ' FOR ', CASE polcmd
    WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
    ELSE 'ALL' END,
    ' TO ' || (
        SELECT string_agg(CASE r WHEN 0 THEN 'public' ELSE r::regrole::text END, ', ')
        FROM unnest(polroles) r
    ),
    ' USING (' || pg_get_expr(polqual, polrelid) || ')',
    ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')'
) AS made) m WHERE {OURS} ORDER BY p.oid""",
    r"""
SELECT 'comment', concat(type, ' ', identity), '', made, made, ''
FROM pg_description d, LATERAL pg_identify_object(classoid, objoid, objsubid) i,
LATERAL (SELECT format(
    'COMMENT ON %s %s IS %L', upper(regexp_replace(type, '^(table|view) (?=.)', '')),
    regexp_replace(identity, format('\m%I[.](?=\S+$)', current_schema()), ''), description
) AS made) m
WHERE objoid >= 16384 AND NOT EXISTS (
    SELECT FROM pg_depend WHERE deptype = 'e' AND classid = classoid AND objid = objoid
) AND type <> 'extension' ORDER BY 2""",
    # No statement is known for these.
    *(
        f"""
SELECT 'other', pg_describe_object(o.tableoid, o.oid, 0), '', '', '', ''
FROM {catalog} o WHERE o.oid >= 16384 AND {NOT_OF_EXTENSION.format("o")}"""
        for catalog in (
            *("pg_collation", "pg_operator", "pg_opclass", "pg_opfamily", "pg_cast"),
            *("pg_conversion", "pg_ts_config", "pg_ts_dict", "pg_ts_parser"),
            *("pg_ts_template", "pg_foreign_data_wrapper", "pg_foreign_server"),
            *("pg_event_trigger", "pg_publication", "pg_default_acl", "pg_language"),
            *("pg_transform", "pg_am"),
        )
    ),
]

# PostgreSQL reads its own words for an expression once more, and shows them with other brackets
# and castings: `kind IN ('a', 'b')` of a VARCHAR is such a one.
EXPRESSIONS = {"constraint", "index", "view", "rule", "policy"}
WORDS = re.compile(r"::(character varying|[\w.]+|\"[^\"]+\")(\(\d+\))?(\[\])*|[()\s]")


def read_postgresql(connection: Connection) -> Iterator[Definition]:
    """Yield what a database of PostgreSQL has beside what belongs to its extensions."""
    for statement in POSTGRESQL:
        for row in connection.execute(text(statement)):
            kind, name, table, shape, create, drop = map(str, row)
            if kind in EXPRESSIONS:
                shape = WORDS.sub("", shape)
            yield Definition(kind, name, table, shape, create, drop)


# ---------------------------------------------------------------------------------------- SQLite

TOKENS = re.compile(
    r"--[^\n]*|/\*.*?\*/|('(?:[^']|'')*')|\"((?:[^\"]|\"\")*)\"|`([^`]*)`|\[([^\]]*)\]|(\w+|\S)",
    re.DOTALL,
)
DEFAULT = re.compile(r"default \( (\S+) \)")  # brackets that mean nothing
# A virtual table makes the others that begin with its name.
SQLITE = r"""
SELECT type, name, tbl_name, sql FROM sqlite_master AS item
WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND NOT EXISTS (
    SELECT 1 FROM sqlite_master AS virtual WHERE virtual.sql LIKE 'CREATE VIRTUAL TABLE%'
    AND item.name LIKE virtual.name || '\_%' ESCAPE '\'
)
ORDER BY rowid
"""


def read_sqlite(connection: Connection) -> Iterator[Definition]:
    """Yield what a database of SQLite has, which keeps the statements themselves."""
    for row in connection.exec_driver_sql(SQLITE).all():
        kind, name, table, sql = map(str, row)
        columns = ""
        if kind == "table":
            info = text("SELECT name FROM pragma_table_xinfo(:name)")
            columns = ", ".join(connection.scalars(info, {"name": name}))
        shape = "\n".join([columns, *sorted(items_of(sql))])
        sql = re.sub(r"[ \t]+\n\t*", "\n    ", sql)  # as SQLAlchemy breaks lines
        drop = f'DROP {kind.upper()} "{name}"' if kind != "index" else ""
        yield Definition(kind, name, table, shape, sql, drop)


def items_of(sql: str) -> list[str]:
    """Return what stands in the brackets of a statement, in one spelling.

    Columns may stand in another order than constraints, as ALTER TABLE puts them.
    """
    items, depth = [""], 0
    for string, *names, word in TOKENS.findall(sql):
        token = string or "".join(names).lower() or word.lower()
        depth += {"(": 1, ")": -1}.get(token, 0)
        if (token, depth) in {(",", 1), ("(", 1), (")", 0)}:
            items.append("")
        else:
            items[-1] += f" {token}"
    return [DEFAULT.sub(r"default \1", item) for item in items]


# ----------------------------------------------------------------------------- MySQL and MariaDB

MYSQL = """
SELECT table_type, table_name, create_time FROM information_schema.tables
WHERE table_schema = DATABASE()
UNION ALL
SELECT routine_type, routine_name, created FROM information_schema.routines
WHERE routine_schema = DATABASE()
UNION ALL
SELECT 'TRIGGER', trigger_name, action_order FROM information_schema.triggers
WHERE trigger_schema = DATABASE()
UNION ALL
SELECT 'EVENT', event_name, created FROM information_schema.events
WHERE event_schema = DATABASE()
ORDER BY 3, 2
"""
FOREIGN_KEY = re.compile(r"^  CONSTRAINT `((?:[^`]|``)+)` FOREIGN KEY")


def read_mysql(connection: Connection) -> Iterator[Definition]:
    """Yield what a database of MySQL or MariaDB has."""
    for row in connection.execute(text(MYSQL)).all():
        kind, name = str(row[0]), str(row[1])
        if kind in {"BASE TABLE", "SYSTEM VERSIONED"}:
            yield from read_mysql_table(connection, name)
            continue
        place = {"EVENT": 3, "FUNCTION": 2, "PROCEDURE": 2, "TRIGGER": 2}.get(kind, 1)
        create = show(connection, kind, name)[place]
        create = re.sub(r" DEFINER=(`[^`]*`@`[^`]*`)", "", create, count=1)
        drop = f"DROP {kind} {quote(name)}"
        yield Definition(kind.lower(), name, "", create, create, drop)


def read_mysql_table(connection: Connection, name: str) -> Iterator[Definition]:
    """Yield a table, and each of its foreign keys."""
    create = show(connection, "TABLE", name)[1]
    lines = re.sub(r"(?m)^(\).*) AUTO_INCREMENT=\d+", r"\1", create).split("\n")
    end = max(number for number, line in enumerate(lines) if line.startswith(")"))
    items = [line.removesuffix(",") for line in lines[1:end]]
    keys = [item for item in items if FOREIGN_KEY.match(item)]
    items = [item for item in items if item not in keys]
    create = "\n".join([lines[0], ",\n".join(items), *lines[end:]])
    columns = [item for item in items if item.startswith("  `")]
    others = sorted(item for item in items if not item.startswith("  `"))
    shape = "\n".join([*columns, *others, *lines[end:]])
    yield Definition("table", name, name, shape, create, f"DROP TABLE {quote(name)}")
    for item in keys:
        key = FOREIGN_KEY.match(item)
        assert key is not None
        alter = f"ALTER TABLE {quote(name)}"
        yield Definition(
            kind="foreign key",
            name=f"{name}.{key[1]}",
            table=name,
            shape=item,
            create=f"{alter} ADD {item.strip()}",
            drop=f"{alter} DROP FOREIGN KEY `{key[1]}`",
        )


def show(connection: Connection, kind: str, name: str) -> list[str]:
    """Return what the database shows of how an object is made."""
    options = connection.execution_options(no_parameters=True)
    row = options.exec_driver_sql(f"SHOW CREATE {kind} {quote(name)}").one()
    return [str(value) for value in row]


def quote(name: str) -> str:
    """Return a name for MySQL and MariaDB."""
    return "`" + name.replace("`", "``") + "`"
