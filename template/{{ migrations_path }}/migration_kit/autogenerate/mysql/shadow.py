"""The shadow on MySQL and MariaDB.

It is made of temporary tables, of which a killed process leaves nothing, and which need few
rights. What they cannot have, such as partitions, is made in a scratch database.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import Any

from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateSequence, sort_tables
from sqlalchemy.sql.util import find_tables

from ...catalogs import Objects
from ...catalogs.mysql import objects_of, quote, read, run
from ...tables import is_view, selectable_of
from ..shadow import Maker, Models, Shadow, reason_of, translated
from .keys import add_foreign_keys

# What models cannot say of a table or a view.
UNSAID = {"period", "security", "versioning"}


class Bare(Maker):
    """Makes no sequence of a column: next to a temporary table, it would stay."""

    def visit_sequence(self, *_: Any, **__: Any) -> None:
        """Make none."""


def create(connection: Connection, table: Table) -> None:
    """Make a table and its indexes, but no foreign keys: a temporary table has none."""
    maker: Any = Bare(connection.dialect, connection)  # type: ignore[no-untyped-call]
    with named_checks_of_table(table):
        maker.visit_table(table, create_ok=True, include_foreign_key_constraints=[])


@contextmanager
def named_checks_of_table(table: Table) -> Iterator[None]:
    """Move CHECKs of columns to their table: only there may one have a name."""
    moved = [
        (column.constraints, check)
        for column in table.columns
        for check in column.constraints
        if check.name
    ]
    try:
        for checks, check in moved:
            checks.remove(check)
            table.constraints.add(check)
        yield
    finally:
        for checks, check in moved:
            table.constraints.discard(check)
            checks.add(check)


def cast(connection: Connection, models: Models) -> Shadow:
    """Return both catalogs."""
    shadow = Shadow(models.renamed(read(connection, models.shown())), {})
    try:
        with beside(connection) as other:
            for table in models.tables:
                try:
                    objects = make_temporary(other, table, models)
                    shadow.made[models.key(table)] = objects
                except SQLAlchemyError as error:
                    shadow.not_made[table] = reason_of(error)
            make_rest(other, models, shadow)
    except SQLAlchemyError as error:
        shadow.note = reason_of(error)
        shadow.not_made = shadow.not_made if shadow.made else {}
    for table in models.tables:
        if (place := models.key(table)) in shadow.made:
            real, made = shadow.real.get(place, {}), shadow.made[place]
            add_foreign_keys(table, models, connection.dialect, real, made)
            leave_unsaid(table, real, made)
    return shadow


@contextmanager
def beside(connection: Connection) -> Iterator[Connection]:
    """Open another connection: CREATE INDEX commits, even on a temporary table."""
    engine = connection.engine
    apart = Engine(engine.pool.recreate(), engine.dialect, engine.url)
    try:
        with apart.connect() as other:
            other.execution_options(isolation_level="AUTOCOMMIT")
            run(other, "SET default_tmp_storage_engine = @@default_storage_engine")
            yield other
    finally:
        apart.dispose()


def make_temporary(other: Connection, table: Table, models: Models) -> Objects:
    """Return what the server makes of a table; the temporary one hides the real one."""
    if selectable_of(table) is not None:
        raise SQLAlchemyError("not a plain table")
    schema, prefixes = models.schemas[table.schema], table._prefixes
    try:
        table._prefixes = [*prefixes, "TEMPORARY"]  # a copy has no listeners of types
        with translated(other, models.schemas):
            create(other, table)
        return dict(objects_of(other, "TABLE", schema, table.name, models.shown()))
    finally:
        table._prefixes = prefixes
        place = f"{quote(schema)}.{quote(table.name)}"
        run(other, f"DROP TEMPORARY TABLE IF EXISTS {place}")


def make_rest(other: Connection, models: Models, shadow: Shadow) -> None:
    """Make in a scratch database what is no temporary table."""
    rest = [*shadow.not_made]
    sequences = [
        sequence
        for metadata in dict.fromkeys(table.metadata for table in models.tables)
        for sequence in metadata._sequences.values()
        if other.dialect.supports_sequences and sequence.schema in models.schemas
    ]
    if not rest and not sequences:
        shadow.made |= {place: {} for place in shadow.real if not place[1]}
        return
    wanted = [*rest]
    for table in wanted:  # with the tables of views, and those of these
        if is_view(table):
            used = find_tables(selectable_of(table))
            more: Any = dict.fromkeys(used or models.tables)  # text names none
            wanted += [one for one in more if one not in wanted]
    with scratch(other, models) as names:
        run(other, f"USE {names[models.schemas[None]]}")
        apart = {name: names[real] for name, real in models.schemas.items()}
        with translated(other, apart):
            for sequence in sequences:
                other.execute(CreateSequence(sequence))
            for table in sort_tables(wanted, skip_fn=lambda _: True):
                try:
                    create(other, table)
                    shadow.not_made.pop(table, None)
                except SQLAlchemyError as error:
                    shadow.not_made[table] = reason_of(error)
        shown = models.shown()
        made = read(other, {names[real]: shown[real] for real in names})
    places = {models.key(table) for table in rest}
    shadow.made |= {at: made[at] for at in made if at in places or not at[1]}


@contextmanager
def scratch(other: Connection, models: Models) -> Iterator[dict[str, str]]:
    """Give the name of an empty database for each real one.

    A lock goes with its connection, and only a node of a cluster knows it: so the next run on the
    node drops what a killed one has left.
    """
    node = other.scalar(text("SELECT LEFT(MD5(CONCAT(@@hostname, @@port)), 8)"))
    prefix = f"alembic_shadow_{node}_"
    token = prefix + token_hex(4)
    lock = text("SELECT GET_LOCK(:name, 0)")
    other.execute(lock, {"name": token})
    for name in other.scalars(text("SHOW DATABASES")).all():
        owner = {"name": name.rpartition("_")[0]}
        if name.startswith(prefix) and other.scalar(lock, owner) == 1:
            with suppress(SQLAlchemyError):  # it is of another user
                run(other, f"DROP DATABASE {name}")
    names = {real: f"{token}_{place}" for place, real in enumerate(models.shown())}
    try:
        for real, name in names.items():
            row: Any = run(other, f"SHOW CREATE DATABASE {quote(real)}").one()
            run(other, row[1].replace(quote(real), name, 1))
        yield names
    finally:
        for name in names.values():
            run(other, f"DROP DATABASE IF EXISTS {name}")


def leave_unsaid(table: Table, real: Objects, made: Objects) -> None:
    """Show in the models what they do not say as the database has it.

    That is the character set of a table without one, and partitions that came later.
    """
    unsaid = {*UNSAID}
    if not any("char" in name or "coll" in name for name in table.kwargs):
        unsaid.add("charset")
    item = "table", "", "partitions"
    lists = [{*side.get(item, "").strip("()").split(",\n ")} for side in (made, real)]
    if lists[0] <= lists[1]:
        unsaid.add("partitions")
    made.update({item: real[item] for item in real if item[2] in unsaid})
