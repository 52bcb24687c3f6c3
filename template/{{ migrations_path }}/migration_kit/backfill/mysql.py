"""MySQL and MariaDB: a named lock for a backfill, and short waits for rows.

They do not know the lag of their replicas; a node of Galera makes a commit wait, so that batches
get smaller.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .kinds import Condition, Key, Kind, compare
from .servers import LOCK_TIMEOUT, digest, lock

# How many rows the server believes in, and the engine if it has no transactions.
TABLE = """
SELECT t.table_rows, CASE WHEN e.transactions <> 'YES' THEN t.engine END
FROM information_schema.tables t LEFT JOIN information_schema.engines e ON e.engine = t.engine
WHERE t.table_schema = coalesce(:schema, DATABASE()) AND t.table_name = :name
"""

# A lock timeout, a deadlock; on Galera also a conflict between nodes.
BUSY = {1205, 1213, 1180, 1020}

WAITS = "@@SESSION.innodb_lock_wait_timeout"


class MySQL(Kind):
    """MySQL and MariaDB."""

    table_options = dict.fromkeys(("mysql_engine", "mariadb_engine"), "InnoDB")

    @contextmanager
    def session(self, connection: sa.Connection, name: str) -> Iterator[None]:
        # A name has at most 64 characters, and one name space for all databases of a server.
        named = f"CONCAT('backfill-{digest(name).hex()}-', MD5(DATABASE()))"
        take, release = f"SELECT GET_LOCK({named}, 0)", f"SELECT RELEASE_LOCK({named})"
        with lock(connection, name, take, release):
            # A batch locks no gaps between its rows.
            connection.execution_options(isolation_level="READ COMMITTED")
            before = connection.exec_driver_sql(f"SELECT {WAITS}").scalar()
            connection.exec_driver_sql(f"SET {WAITS} = {LOCK_TIMEOUT}")
            connection.commit()
            try:
                yield
            finally:
                with suppress(SQLAlchemyError):
                    connection.rollback()
                    connection.exec_driver_sql(f"SET {WAITS} = {before}")

    def refuse(self, connection: sa.Connection, table: sa.TableClause) -> None:
        _, engine = known_of(connection, table)
        if engine:
            raise CommandError(
                f"{table.name} is a table of {engine}, which has no transactions. "
                f"Run `ALTER TABLE {table.name} ENGINE = InnoDB` first"
            )

    def estimate(self, connection: sa.Connection, table: sa.TableClause) -> int:
        rows, _ = known_of(connection, table)
        return rows

    def is_busy(self, error: DBAPIError) -> bool:
        return next(iter(getattr(error.orig, "args", ())), None) in BUSY

    def compare(
        self, columns: list[sa.ColumnElement[object]], operator: str, key: Key
    ) -> Condition:
        """These servers find no index for a comparison of tuples."""
        strict = operator.replace("le", "lt")
        last = len(key) - 1
        return sa.or_(
            *(
                sa.and_(
                    *(columns[each] == key[each] for each in range(index)),
                    compare(
                        columns[index],
                        operator if index == last else strict,
                        key[index],
                    ),
                )
                for index in range(len(key))
            )
        )


def known_of(connection: sa.Connection, table: sa.TableClause) -> tuple[int, str]:
    """Return what the server knows of a table: its rows, and an engine without transactions."""
    values = {"schema": table.schema, "name": table.name}
    row = connection.execute(sa.text(TABLE), values).first()
    return (int(row[0] or 0), str(row[1] or "")) if row else (0, "")


kind = MySQL()
