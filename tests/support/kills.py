"""Kill an upgrade or downgrade with `kill -9` before and after each statement, and run it again.

``python kills.py TEMPLATE SCHEMA WANTED EVERY COMMAND...`` in a project's folder; it prints how many
kills there were, and those that the next run did not repair. A process is forked for each run.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from alembic.config import main
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.engine.default import DefaultDialect

URL = make_url(os.environ["DATABASE_URL"])


def execute(database: str, *statements: str) -> list[Any]:
    """Run statements outside a transaction, and return the rows of the last one."""
    url = URL.set(drivername="postgresql+psycopg", database=database)
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            result = connection.execute(text(statement))
        return [row[0] for row in result] if result.returns_rows else []


def copy(template: str, database: str) -> None:
    """Make a database anew, as a copy of another one."""
    execute(
        "postgres",
        f"DROP DATABASE IF EXISTS {database} WITH (FORCE)",
        f"CREATE DATABASE {database} TEMPLATE {template}",
    )


def count_and_kill(at: int, after: bool, pipe: int) -> None:
    """Let this process kill itself at a statement, and write how many there were."""
    number = 0

    def counting(original: Any) -> Any:
        def run(self: Any, cursor: Any, *arguments: Any, **options: Any) -> None:
            nonlocal number
            number += 1
            if number == at and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            original(self, cursor, *arguments, **options)
            if number == at and after:
                os.kill(os.getpid(), signal.SIGKILL)
            os.write(pipe, b".")

        return run

    for name in ("do_execute", "do_execute_no_params"):
        setattr(DefaultDialect, name, counting(getattr(DefaultDialect, name)))


def run(
    database: str, command: list[str], at: int = 0, after: bool = False
) -> tuple[int, int, str]:
    """Run a command of Alembic's in a fork; return its code, its statements and its output."""
    reading, pipe = os.pipe()
    output_reading, output = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        with suppress(BaseException):
            os.dup2(output, 1)
            os.dup2(output, 2)
            url = URL.set(database=database).render_as_string(hide_password=False)
            os.environ["DATABASE_URL"] = url
            count_and_kill(at, after, pipe)
            try:
                main(command)
                code = 0
            except BaseException:
                traceback.print_exc()
                raise
        os._exit(code)
    for end in (pipe, output):
        os.close(end)
    said = b"".join(iter(lambda: os.read(output_reading, 65536), b"")).decode()
    counted = b"".join(iter(lambda: os.read(reading, 65536), b""))
    for end in (reading, output_reading):
        os.close(end)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), len(counted), said


def failures(
    template: str, schema: str, wanted: list[str], every: int, command: list[str]
) -> Iterator[Any]:
    """Yield the number of kills, then each that the next run did not repair."""
    database = f"{template}_killed"
    copy(template, database)
    code, total, said = run(database, command)
    assert code == 0, said
    assert execute(database, schema) == wanted, "without a kill"
    points = [(at, after) for at in range(1, total + 1) for after in (False, True)]
    points = points[:: every or 1]
    yield len(points)
    for at, after in points:
        copy(template, database)
        killed, _, _ = run(database, command, at, after)
        code, _, said = run(database, command)
        found = execute(database, schema)
        if killed != -signal.SIGKILL or code or found != wanted:
            yield at, after, killed, code, said[-300:], [*{*found} ^ {*wanted}][:3]
    execute("postgres", f"DROP DATABASE {database} WITH (FORCE)")


if __name__ == "__main__":
    given = json.loads(os.environ["KILLS"])
    sys.argv = ["alembic"]
    print(json.dumps([*failures(**given)]))
