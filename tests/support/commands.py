"""Programs, as a person with a clean environment starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# With these, `uv run` takes this environment, which has all drivers, for a project's own.
UV_RUNS_HERE = {
    "UV_NO_SYNC": "1",
    "UV_PROJECT_ENVIRONMENT": sys.prefix,
    "VIRTUAL_ENV": "",
    "PYTHONPATH": "src",
}

# A developer's own database is none of a test's business, nor are this run's options those of
# a generated project's tests; and modules are compiled once. In CI, pytest shows other lines.
HIDDEN = (
    "CI",
    "DATABASE_URL",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPATH",
    "TEST_DATABASE_URL",
)


def environment(**variables: str) -> dict[str, str]:
    """Return what a program sees: the clean environment and some variables more."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in HIDDEN and not name.startswith("PYTEST_")
    }
    # Two streams that become one are in the order in which they were written.
    return clean | {"PYTHONUNBUFFERED": "1"} | variables


def script(name: str) -> Path:
    """Return the path of a console script of this environment."""
    return Path(sys.executable).with_name(f"{name}.exe" if os.name == "nt" else name)


def run(
    *command: str | Path,
    cwd: str | os.PathLike[str],
    env: dict[str, str] | None = None,
    fails: bool = False,
) -> str:
    """Run a program and return its output.

    Args:
        command: program and arguments.
        cwd: where to run it.
        env: variables to add to the environment.
        fails: whether the program must fail; otherwise it must not.

    Returns:
        Standard output and standard error, in the order in which they were written.
    """
    process = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env=environment(**(env or {})),
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert bool(process.returncode) == fails, process.stdout
    return process.stdout
