"""Tenants on MySQL and MariaDB: a database each, which cannot roll DDL back."""

import ssl
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, Table, select, text
from sqlalchemy.schema import DropTable

# What a connection names that is to create a database: none.
SERVER = ""

EXISTS = "SELECT 1 FROM information_schema.schemata WHERE schema_name = :name"


def share_certificates() -> None:
    """Let PyMySQL read the certificates of the machine once, and not for each connection.

    It verifies nothing with them, unless the URL asks for that; but they take it longer than a
    tenant that has nothing to do.
    """
    try:
        connection = import_module("pymysql.connections").Connection
        create = connection._create_ssl_ctx
    except (ImportError, AttributeError):  # another driver, or another PyMySQL
        return
    shared: list[ssl.SSLContext] = []

    def create_once(self: Any, asked: Any) -> ssl.SSLContext:
        if asked:
            own: ssl.SSLContext = create(self, asked)
            return own
        if not shared:
            shared.append(create(self, asked))
        return shared[0]

    connection._create_ssl_ctx = create_once


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
