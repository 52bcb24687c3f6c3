"""What the tests stand on does what it stands for."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest

from support.commands import environment, run, script
from support.damage import change_model
from support.databases import url_text
from support.projects import Database, New


@pytest.mark.parametrize(
    "arguments",
    [
        ("upgrade", "head"),
        ("upgrade", "head", "--sql"),
        ("-x", "url=nonsense", "upgrade", "head"),
        ("history", "--verbose"),
        ("no-such-command",),
    ],
)
def test_fork_is_the_command(
    new: New, database: Database, arguments: tuple[str, ...]
) -> None:
    """The other tests run the command in a fork; it says, does and returns the same."""
    project = new()
    fails = "nonsense" in str(arguments) or "no-such" in str(arguments)
    said = set()
    for _ in range(2):
        forked = project.on(database("sqlite", "pysqlite"))
        said |= {forked.alembic(*arguments, fails=fails)}
        real = project.on(database("sqlite", "pysqlite"))
        env = real.env | {"DATABASE_URL": url_text(real.url)}
        said |= {run(script("alembic"), *arguments, cwd=project, env=env, fails=fails)}
        assert real.tables() == forked.tables()
    assert len(said) == 1


def test_fork_runs_the_hooks_of_a_revision(new: New) -> None:
    """That for HEAD in a fork too; what it says, and that it failed, is the same."""
    said = []
    for broken in (False, True):
        for real in (False, True):
            project = new()
            if broken:
                project.write("migrations/migration_kit/paths.py", "def nonsense(:\n")
            options = ("-m", "second", "--rev-id", "second")
            command = ("revision", *(() if broken else ("--autogenerate",)), *options)
            if not broken:
                change_model(project.upgraded())
            env = project.env | {"DATABASE_URL": url_text(project.url)}
            if real:
                output = run(script("alembic"), *command, cwd=project, env=env)
            else:
                output = project.alembic(*command)
            said.append((output.replace(str(project.path), ""), project.head()))
    # A name has the minute, which may be the next one.
    vary = re.compile(r'  File "<frozen runpy>.*\n|\d{4}(_\d\d){2}_\d{4}')
    assert len({(vary.sub("", output), head) for output, head in said}) == 2
    assert said[0][1] == "second\n"
    assert "SyntaxError" in said[2][0]


# What is said while the interpreter ends: an object that goes, a connection that was left open.
AT_THE_END = """
import aiosqlite, asyncio, logging, os, warnings
from sqlalchemy.ext.asyncio import create_async_engine

warnings.simplefilter("always")

class Left:
    def __del__(self):
        warnings.warn("left", ResourceWarning)
        logging.getLogger("left").warning(os.path.join("a", "b"))

left = Left()
file = open("README.md")

async def main():
    global connection
    connection = await create_async_engine("sqlite+aiosqlite://").connect()

asyncio.run(main())
"""

PYTHON: list[tuple[str, ...]] = [
    ("-m", "pytest", "-v", "-p", "no:copie", "--color=no"),
    (
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:copie",
        "-k",
        "head_file",
        "tests/test_migrations.py",
    ),
    ("-c", "import sys; print(sys.argv, sys.path, __name__)", "a"),
    (
        "-c",
        "import os, time; print(sorted(os.environ.items()), time.tzname, os.getcwd())",
    ),
    ("-c", "import random, tempfile; print(tempfile.gettempdir())"),
    ("-c", "from my_app.models.hero import Hero; print(Hero.__table__)"),
    ("-c", "print('out', flush=True); 1 / 0"),
    ("-c", "import re; print(re.sub('a', f'{1:_}', 'a'), [*map(str, [1])])"),
    ("-c", "import atexit; atexit.register(print, 'end'); raise SystemExit(3)"),
    ("-c", AT_THE_END),
    ("program.py", "b"),
    ("folder", "c"),
    ("-m", "my_app.program", "d"),
    ("-m", "no_such_module"),
]


def test_fork_is_the_interpreter(new: New) -> None:
    """What it says, and how it ends, but for seconds, addresses and where a warning at the end is."""
    project = new()
    code = (
        "import sys\nprint(sys.argv, sys.path[0], __name__, __file__)\nsys.exit('no')\n"
    )
    for name in ("program.py", "folder/__main__.py", "src/my_app/program.py"):
        project.write(name, code)
    env = project.env | {"TZ": "Pacific/Kiritimati", "DATABASE_URL": "sqlite:///x"}
    vary = (
        r"(?m)\b[\d.]+s\b|0x[0-9a-f]+|^\S+ (?=ResourceWarning: unclosed)|(?<=unclosed file ).*"
        r"|^  (gc\.collect\(\)|warn\()\n|^ResourceWarning: Enable.*\n"
    )
    for arguments in PYTHON:
        forked = project.start("python", *arguments, **env)
        said = forked.finish()
        real = subprocess.run(
            [sys.executable, *arguments],
            check=False,
            cwd=project,
            env=environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert forked.returncode == real.returncode, arguments
        assert re.sub(vary, "", said) == re.sub(vary, "", real.stdout.decode())


def test_fork_is_killed_like_any_process(new: New) -> None:
    process = new().start("python", "-c", "print(1, flush=True); input()")
    assert process.finish() == "1\n" + process.printed[2:]
    assert process.returncode == 1  # standard input is empty
    process = new().start(
        "python", "-c", "import time; print(1, flush=True); time.sleep(99)"
    )
    process.wait_for("1\n")
    assert process.poll() is None
    process.kill()
    assert process.finish() == "1\n"
    assert process.returncode == -signal.SIGKILL
