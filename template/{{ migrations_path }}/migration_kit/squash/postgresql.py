"""The objects of a PostgreSQL database, each with the statement that makes it."""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy import Connection, Dialect, Integer, Numeric, inspect, text
from sqlalchemy.dialects.postgresql import ENUM

from ..autogenerate.servers import open_circles
from ..catalogs import plain
from .definitions import Definition, Kind

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
# The grants are objects of their own; this sees what a REVOKE took from the owner as well.
ACL = """
(
    SELECT string_agg(one::text, ' ' ORDER BY one::text)
    FROM unnest(coalesce({0}acl, acldefault('{1}', {0}owner))) one
)"""
# What CREATE TABLE as we write it does not say.
FURTHER = f"""
SELECT concat_ws(
    ' ', relkind, {ACL.format("rel", "r")}, reltablespace, reloftype, nullif(relreplident, 'd'),
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
# Those of the role that migrates; its name is none of the revision's.
DEFAULTS = """
pg_default_acl d JOIN pg_namespace n ON n.oid = defaclnamespace AND defaclrole = current_user::regrole"""

OBJECTS = [
    f"""
SELECT 'schema', nspname, '', {ACL.format("nsp", "n")}, format('CREATE SCHEMA IF NOT EXISTS %I', nspname), ''
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
), ''), concat(made, {ACL.format("rel", "s")}), made, format('DROP SEQUENCE IF EXISTS %s', c.oid::regclass)
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
SELECT 'view', {TABLE}, {TABLE}, concat(made, {ACL.format("rel", "r")}), made, format('DROP %s %s', word, c.oid::regclass)
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
    f"""
SELECT 'grant', concat_ws(' ', prefix, privileges, target, role), place, made, made,
CASE place WHEN '' THEN concat(prefix, 'REVOKE ', privileges, target, ' FROM ', role) ELSE '' END
FROM (
    SELECT '' AS prefix, {TABLE} AS place, relowner AS owner, relacl AS acl, '' AS columns,
    concat(' ON ', CASE relkind WHEN 'S' THEN 'SEQUENCE ' END, c.oid::regclass) AS target
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND {OURS} AND {NOT_OF_EXTENSION.format("c")}
    UNION ALL SELECT '', {TABLE}, relowner, attacl, format(' (%I)', attname), concat(' ON ', c.oid::regclass)
    FROM pg_attribute {CLASS.format("attrelid")} WHERE NOT attisdropped AND {OURS}
    AND {NOT_OF_EXTENSION.format("c")}
    UNION ALL SELECT '', '', nspowner, nspacl, '', format(' ON SCHEMA %I', nspname)
    FROM pg_namespace n WHERE {OURS}
    UNION ALL SELECT format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I ', nspname), '', defaclrole, defaclacl,
    '', CASE defaclobjtype WHEN 'r' THEN ' ON TABLES' WHEN 'S' THEN ' ON SEQUENCES'
        WHEN 'f' THEN ' ON FUNCTIONS' ELSE ' ON TYPES' END
    FROM {DEFAULTS}
) g, LATERAL (
    SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS role, is_grantable,
    string_agg(privilege_type || columns, ', ' ORDER BY privilege_type) AS privileges
    FROM aclexplode(acl) WHERE grantee <> owner GROUP BY 1, 2
) x, LATERAL (SELECT concat(
    prefix, 'GRANT ', privileges, target, ' TO ', role,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END
) AS made) m ORDER BY prefix, place, target, role""",
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
            *("pg_event_trigger", "pg_publication", "pg_language", "pg_transform"),
            *(
                "pg_am",
                f"(SELECT d.tableoid, d.oid FROM pg_default_acl d WHERE d.oid NOT IN (SELECT d.oid FROM {DEFAULTS}))",
            ),
        )
    ),
]

# PostgreSQL reads its own words for an expression once more, and shows them with other brackets
# and castings: `kind IN ('a', 'b')` of a VARCHAR is such a one.
EXPRESSIONS = {"constraint", "index", "view", "rule", "policy"}
WORDS = re.compile(r"::(character varying|[\w.]+|\"[^\"]+\")(\(\d+\))?(\[\])*|[()\s]")


# Every sequence that may have given a value.
SEQUENCES = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'S' AND nspname !~ '^pg_' ORDER BY c.oid
"""


# They hide rows from their owner.
FORCED = "SELECT oid::regclass::text FROM pg_class WHERE relforcerowsecurity"


class PostgreSQL(Kind):
    """PostgreSQL, without what belongs to its extensions."""

    objects = (
        *("schema", "extension", "type", "domain", "sequence", "function", "procedure"),
        *("table", "partition", "constraint", "index", "foreign key"),
        *("owner of sequence", "rows", "value of sequence", "statistics", "view"),
        *("rule", "trigger", "row security", "policy", "grant", "comment", "other"),
    )
    of_tables = Kind.of_tables | {"partition", "sequence", "owner of sequence"}
    # A check that waits for the commit would keep the tables from being altered.
    after_rows = "SET CONSTRAINTS ALL IMMEDIATE"

    def read(self, connection: Connection) -> Iterator[Definition]:
        for statement in OBJECTS:
            for row in connection.execute(text(statement)):
                kind, name, table, shape, create, drop = map(str, row)
                if kind in EXPRESSIONS:
                    shape = WORDS.sub("", shape)
                yield Definition(kind, name, table, shape, create, drop)

    def schemas(self, connection: Connection) -> set[str | None]:
        found = inspect(connection).get_schema_names()
        default = connection.dialect.default_schema_name
        return {None, *found} - {"information_schema", default}

    def open_circles(
        self, creates: list[ops.MigrateOperation]
    ) -> list[ops.MigrateOperation]:
        return open_circles(creates)

    def plain_type(self, reflected: Any, dialect: Dialect) -> Any:
        item = getattr(reflected, "item_type", reflected)
        if isinstance(item, ENUM):  # the revision makes it before
            item.create_type = False
            return reflected
        return super().plain_type(reflected, dialect)

    def render_type(self, type_: Any, context: AutogenContext) -> str:
        if not isinstance(type_, ENUM):
            return ""
        context.imports.add("from sqlalchemy.dialects import postgresql")
        code = f"postgresql.{type_!r}"
        if "create_type=" in code:
            return code
        return f"{code.removesuffix(')')}, create_type=False)"  # SQLAlchemy 2.0

    def trial(self, connection: Connection) -> AbstractContextManager[Any]:
        return connection.begin_nested()

    @contextmanager
    def all_rows(self, connection: Connection) -> Iterator[None]:
        with connection.begin_nested() as savepoint:
            for name in connection.scalars(text(FORCED)).all():
                alter = f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY"
                connection.execute(plain(alter))
            yield
            savepoint.rollback()

    def literal(self, name: str, type_: Any) -> str:
        is_number = isinstance(type_, Integer | Numeric)
        plain = f"{name}::text" if is_number else f"quote_literal({name}::text)"
        return f"coalesce({plain}, 'NULL')"

    def overriding(self, columns: Sequence[Any]) -> str:
        always = any(column.identity for column in columns)
        return " OVERRIDING SYSTEM VALUE" if always else ""

    def read_values(self, connection: Connection) -> Iterator[Definition]:
        for name in connection.scalars(text(SEQUENCES)).all():
            query = f"SELECT last_value FROM {name} WHERE is_called"
            value = connection.scalar(text(query))
            if value is not None:
                literal = name.replace("'", "''")
                create = f"SELECT setval('{literal}', {value})"
                yield Definition("value of sequence", name, "", create, create, "")


kind = PostgreSQL()
