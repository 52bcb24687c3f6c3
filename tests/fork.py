"""Run the `alembic` command without paying for its imports each time.

A server imports Alembic, SQLAlchemy and the drivers once and then forks a process for every
command, which calls what the console script calls. `test_fork_is_the_command` shows that the
two do the same.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

# alembic_postgresql_enum is not among them: its import changes what autogenerate does.
PRELOADED = [
    "alembic.autogenerate",
    "alembic.command",
    "alembic.config",
    "alembic.ext.checkconstraint_byname",
    "alembic.script",
    "aiomysql",
    "aiosqlite",
    "asyncmy",
    "asyncpg",
    "logging.config",
    "mako.template",
    "psycopg",
    "pymysql",
    "sqlalchemy.dialects.mysql",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.ext.asyncio",
    "sqlalchemy.orm",
    "zoneinfo",
]


@cache
def server() -> subprocess.Popen[str]:
    """Start the server of this process; it ends with its standard input."""
    return subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def alembic_command(
    arguments: list[str], cwd: Path, env: dict[str, str], output: Path
) -> int:
    """Run the `alembic` command in a process of its own.

    Args:
        arguments: of the command.
        cwd: where it runs.
        env: all its variables; each folder of `PYTHONPATH` can be imported from.
        output: where its standard output and standard error go.

    Returns:
        Its exit code.
    """
    process = server()
    assert process.stdin is not None
    assert process.stdout is not None
    request = {
        "arguments": arguments,
        "cwd": str(cwd),
        "env": env,
        "output": str(output),
    }
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def serve() -> None:
    """Fork for each line of standard input and answer with the exit code."""
    for name in PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def run(arguments: list[str], cwd: str, env: dict[str, str], output: str) -> None:
    """Become the command, as its console script would."""
    from alembic.config import main

    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = [
        path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path
    ]
    sys.argv = ["alembic", *arguments]
    main()
    sys.exit()


if __name__ == "__main__":
    serve()
