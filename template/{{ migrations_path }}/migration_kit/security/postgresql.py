"""Policies, row-level security and grants on PostgreSQL: those of the models and of the database.

The models have them as DDL of `after_create`. It runs on the shadow's tables, and is read there.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from alembic import context as alembic_context
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import CommandError, DispatchPriority, PriorityDispatchResult
from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import SQLAlchemyError

from ..autogenerate.compare import Comparison  # its plugin comes first
from ..autogenerate.differences import Difference, differences
from ..autogenerate.ownership import is_made_by_revision, upgrades_of
from ..autogenerate.postgresql.shadow import Caster, cast, stand_ins, with_selected
from ..autogenerate.postgresql.statements import mentions
from ..autogenerate.shadow import Models, Shadow, reason_of
from ..autogenerate.statements import put_around
from ..catalogs import Catalog, Objects, plain
from ..catalogs.postgresql import WORDS, quote, search, undone

# What is compared, of all DDL of the models.
DECLARED = re.compile(
    r"(?is)\s*(ALTER\s+TABLE\s.*\sROW\s+LEVEL\s+SECURITY|CREATE\s+POLICY|GRANT"
    r"|ALTER\s+DEFAULT\s+PRIVILEGES)\b"
)

# A grant is one privilege of one role. The last column takes back what the one before it gives.
QUERY = """
WITH schemas AS (SELECT * FROM pg_namespace WHERE nspname = ANY(CAST(:schemas AS text[]))),
relations AS (
    SELECT c.*, nspname, coalesce(t.relname, c.relname) AS place, c.oid::regclass AS called
    FROM pg_class c JOIN schemas n ON n.oid = c.relnamespace
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
    AND c.relkind = 'S' AND d.deptype IN ('a', 'i')
    LEFT JOIN pg_class t ON t.oid = d.refobjid
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
),
grants AS (
    SELECT nspname, place, called::text, relowner AS owner, '' AS columns, relacl AS acl,
    CASE relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END || called AS target, '' AS prefix
    FROM relations
    UNION ALL
    SELECT nspname, place, called::text, relowner, format(' (%I)', attname), attacl, called::text, ''
    FROM relations r JOIN pg_attribute ON attrelid = r.oid AND NOT attisdropped
    UNION ALL
    SELECT nspname, '', '', nspowner, '', nspacl, format('SCHEMA %I', nspname), '' FROM schemas
    UNION ALL
    SELECT nspname, '', '', defaclrole, '', defaclacl, CASE defaclobjtype WHEN 'r' THEN 'TABLES'
        WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' ELSE 'TYPES' END,
    format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I ', nspname)
    FROM pg_default_acl JOIN schemas n ON n.oid = defaclnamespace
    WHERE defaclrole = current_user::regrole
)
SELECT nspname, place, 'row level security' AS kind, word AS name,
    format('ALTER TABLE %s %s ROW LEVEL SECURITY', called, word),
    format('ALTER TABLE %s %s ROW LEVEL SECURITY', called, off)
FROM relations, LATERAL (VALUES ('ENABLE', 'DISABLE', relrowsecurity),
    ('FORCE', 'NO FORCE', relforcerowsecurity)) AS v (word, off, is_on) WHERE is_on
UNION ALL
SELECT nspname, place, 'policy', quote_ident(polname), concat(
    format('CREATE POLICY %I ON %s', polname, called),
    CASE WHEN NOT polpermissive THEN ' AS RESTRICTIVE' END,
    CASE polcmd WHEN 'r' THEN ' FOR SELECT' WHEN 'a' THEN ' FOR INSERT' WHEN 'w' THEN ' FOR UPDATE'
        WHEN 'd' THEN ' FOR DELETE' END,
    CASE WHEN polroles <> '{0}' THEN ' TO ' || (SELECT string_agg(one, ', ' ORDER BY one)
        FROM unnest(polroles) r, LATERAL (SELECT r::regrole::text AS one) AS o) END,
    ' USING (' || pg_get_expr(polqual, polrelid) || ')',
    ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')'
), format('DROP POLICY %I ON %s', polname, called)
FROM relations r JOIN pg_policy ON polrelid = r.oid
UNION ALL
SELECT nspname, place, 'grant',
    concat(prefix, privilege_type, columns, CASE WHEN target <> called THEN ' ON ' || target END, ' TO ', role),
    concat(prefix, 'GRANT ', privilege_type, columns, ' ON ', target, ' TO ', role,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END),
    concat(prefix, 'REVOKE ', privilege_type, columns, ' ON ', target, ' FROM ', role)
FROM grants, aclexplode(acl), LATERAL (
    SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS role
) AS r WHERE grantee <> owner ORDER BY 1, 2, 3 DESC, 4
"""

# One statement grants, or revokes, several privileges.
GRANT = re.compile(
    r"((?:ALTER DEFAULT PRIVILEGES .*? )?(?:GRANT|REVOKE) )([A-Z]+(?: \(.*\))?)( ON .*)"
)

SCHEMA = re.compile(r'(?i)(\bSCHEMA\s+)("(?:[^"]|"")*"|[\w$]+)')

log = logging.getLogger(f"alembic.{__name__}")


def read(
    connection: Connection, schemas: Mapping[str, str], others: Mapping[str, str] = {}
) -> Catalog:
    """Return what schemas have, as `catalogs` does; `sql` takes back what `definition` gives."""
    catalog: Catalog = {}
    with undone(connection):
        search(connection, "")
        rows = connection.execute(text(QUERY), {"schemas": [*schemas]}).all()
    names = {
        f"{name}.": f"{quote(connection.dialect, shown)}." if shown else ""
        for name, shown in {**others, **schemas}.items()
    }
    for schema, table, *item in rows:
        kind, name, create, drop = (renamed(one, names) for one in item)
        objects = catalog.setdefault((schemas[schema], table), {})
        objects |= {(kind, name, "definition"): create, (kind, name, "sql"): drop}
    return catalog


def renamed(sql: str, names: Mapping[str, str]) -> str:
    """Return SQL with other names of schemas, each with the dot behind it."""
    names = {f'"{one[:-1]}".': other for one, other in names.items()} | {**names}
    return WORDS.sub(lambda match: names.get(match[0], match[0]), sql)


def declared(models: Models, connection: Connection) -> Iterator[str]:
    """Yield the DDL of the models that is compared, as SQLAlchemy would run it."""
    doubled: Any = connection.dialect.identifier_preparer
    owners = dict.fromkeys(table.metadata for table in models.tables)
    for owner in (*models.tables, *owners):
        listeners: Any = owner.dispatch.after_create
        for ddl in listeners:
            sql = str(getattr(ddl, "statement", ""))
            if DECLARED.match(sql) and ddl._should_execute(owner, connection):
                sql = str(ddl.against(owner).compile(dialect=connection.dialect))
                yield sql.replace("%%", "%") if doubled._double_percents else sql


@dataclass
class Guard(Caster):
    """Makes tables in schemas apart, and what is declared on them."""

    declared: Sequence[str] = ()
    of_part: ClassVar[int] = 10_000  # a statement may name several tables

    def cast_part(self, part: Sequence[Table]) -> None:
        """Make all tables, run the statements, and read what these bring."""
        whole = with_selected(part)
        whole = [*stand_ins(whole), *whole]
        self.make_types(whole)
        self.shadow.not_made |= self.make_what_can_be(whole)
        before = self.read()
        for statement in self.declared:
            self.run(statement)
        for place, objects in self.read().items():
            new = [item for item in objects if item not in before.get(place, {})]
            self.shadow.made[place] = {item: objects[item] for item in new}

    def run(self, statement: str) -> None:
        """Run a statement on the tables apart.

        Raises:
            CommandError: naming the statement and the reason.
        """
        schemas = self.models.schemas.items()
        apart = {name or real: self.names[real] for name, real in schemas}
        sql = renamed(statement, {f"{one}.": f"{two}." for one, two in apart.items()})
        sql = SCHEMA.sub(lambda m: m[1] + apart.get(m[2].strip('"'), m[2]), sql)
        try:
            self.connection.execute(plain(sql))
        except SQLAlchemyError as error:
            line, reason = " ".join(statement.split()), reason_of(error)
            raise CommandError(
                f"{line} failed: {reason}. Correct the model, or create the role on this server"
            ) from None

    def read(self) -> Catalog:
        """Return what the schemas apart have, in the words of those of the database."""
        shown, names = self.models.shown(), self.names.items()
        apart = {two: shown[one] for one, two in names}
        words = {two: quote(self.connection.dialect, one) for one, two in names}

        def named(sql: str) -> str:
            return SCHEMA.sub(lambda m: m[1] + words.get(m[2], m[2]), sql)

        found = read(self.connection, apart, shown | {"pg_temp": ""}).items()
        return {
            place: {
                (one[0], named(one[1]), one[2]): named(sql)
                for one, sql in objects.items()
            }
            for place, objects in found
        }


def compare(
    context: AutogenContext, upgrade: ops.UpgradeOps, schemas: Any
) -> PriorityDispatchResult:
    """Write what differs, both ways: first what goes, and last what comes."""
    comparison: Comparison = context.migration_context.opts["comparison"]
    models, connection = comparison.models, context.connection
    assert connection is not None
    shadow, tables = Shadow({}, {}), models.tables
    if statements := [*declared(models, connection)]:
        all_of_them = "\n".join(statements)
        named = [table for table in tables if mentions(all_of_them, table.name)]
        some = replace(models, tables=named or tables[:1])
        shadow = cast(connection, some, partial(Guard, declared=statements))
        if shadow.note:  # the comparison of tables has said so
            return PriorityDispatchResult.CONTINUE
    gone = [
        op
        for op in upgrade.ops
        if isinstance(op, ops.DropTableOp)
        and is_made_by_revision(alembic_context.script, op.table_name, op.schema)
    ]
    shown = {op.schema: op.schema for op in gone if op.schema} | models.shown()
    real = models.renamed(found := read(connection, shown))
    for (_, old), ((_, new), objects) in zip(found, real.items(), strict=True):
        for item in objects if new != old else ():  # expressions name it as well
            objects[item] = re.sub(rf"(?<![\w.]){old}(?=\.)", new, objects[item])
    places = {models.key(one) for one in tables if one not in shadow.not_made}
    places |= {(schema, "") for schema in models.shown().values()}
    changes = [
        one
        for place in sorted(places)
        for one in differences(place, real.get(place, {}), shadow.made.get(place, {}))
        if one.model or is_owned(one, shadow.made.get(place, {}))
    ]
    up: list[tuple[int, str]] = []
    down: list[tuple[int, str]] = []
    for one in changes:
        log.info("Detected %s", one)
        place, item = (one.schema, one.table), (one.kind, one.name, "sql")
        if one.real:
            up.append((0, real[place][item]))
            down.append((7, one.real))
        if one.model:
            up.append((7, one.model))
            if place in comparison.real:  # else it goes with its table
                down.append((0, shadow.made[place][item]))
    altered = [
        (table, one.name)
        for schema, table in comparison.real.keys() & comparison.made.keys()
        for one in comparison.found((schema, table))
        if one.kind == "column" and one.aspect in {"type", "collation"}
    ]
    for place, objects in shadow.made.items():
        for item, sql in objects.items() if altered else ():
            kept = item[::2] == ("policy", "definition") and sql == real.get(
                place, {}
            ).get(item)
            if kept and any(mentions(sql, *names) for names in altered):
                for way in (up, down):  # PostgreSQL alters no type that a policy uses
                    way += [(0, objects[*item[:2], "sql"]), (7, sql)]
    for op in gone:
        items = real.get((op.schema or "", op.table_name), {}).items()
        down += [(7, sql) for item, sql in items if item[2] == "definition"]
    if up or down:
        put_around(upgrade.ops, merged(up), merged(down), changes)
    return PriorityDispatchResult.CONTINUE


def is_owned(one: Difference, made: Objects) -> bool:
    """Return whether the models name it otherwise, or a statement of a revision names it."""
    if (one.kind, one.name, "definition") in made:
        return True
    sql = str(one.real).removesuffix(" WITH GRANT OPTION")
    if sql == "GRANT USAGE ON SCHEMA public TO PUBLIC":  # each database begins with it
        return False
    if one.kind == "policy":
        sql = f"POLICY {one.name} ON {one.table}"
    pattern = r"\b[^;]*\b".join(re.findall(r"\w+", sql))
    return any(
        re.search(rf"(?i)\b{pattern}\b", value)
        for upgrade in upgrades_of(alembic_context.script)
        for value in upgrade.values
    )


def merged(statements: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return statements, one for all privileges that a role gets at once."""
    found: dict[tuple[int, str, str], list[str]] = {}
    for phase, sql in statements:
        match = GRANT.fullmatch(sql)
        head, privilege, tail = match.groups() if match else (sql, "", "")
        found.setdefault((phase, head, tail), []).append(privilege)
    return [
        (phase, head + ", ".join(privileges) + tail)
        for (phase, head, tail), privileges in found.items()
    ]


plugin = Plugin(__name__)
plugin.add_autogenerate_comparator(compare, "schema", priority=DispatchPriority.LAST)
