"""Scratch databases of PostgreSQL, which copies one itself."""

from .scratch import ScratchDatabase
from .servers import on_server

SERVER = "postgres"  # there is no connection without a database, and this one is there


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
