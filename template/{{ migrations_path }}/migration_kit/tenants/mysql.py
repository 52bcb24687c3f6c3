"""Tenants on MySQL and MariaDB: a database each, which cannot roll DDL back."""

from collections.abc import Sequence

from sqlalchemy import Connection, Table, select, text
from sqlalchemy.schema import DropTable

# What a connection names that is to create a database: none.
SERVER = ""

EXISTS = "SELECT 1 FROM information_schema.schemata WHERE schema_name = :name"


def drop_unfinished(connection: Connection, tables: Sequence[Table]) -> bool:
    """Drop the tables that a killed `create` left, and return whether that is what they are.

    A table with a row is from elsewhere, and then none of them is dropped.
    """
    if any(
        connection.execute(select(text("1")).select_from(table).limit(1)).first()
        for table in tables
    ):
        return False
    checks = "SET FOREIGN_KEY_CHECKS = "
    connection.exec_driver_sql(f"{checks} 0")
    for table in tables:
        connection.execute(DropTable(table))
    connection.exec_driver_sql(f"{checks} 1")
    return True
