"""Many tenants with four revisions, against one `alembic` process for each of them.

``uv run python benchmarks/tenants.py`` prints, for schemas and for databases: how long the
processes would take (projected from ten), the fleet, and a fleet that finds nothing to do; and the
peak memory of the command and of its largest worker. ``--growth`` prints how the fleet grows with
tenants, with revisions and with workers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import copier
from sqlalchemy import URL, text

from projects import ROOT, empty_database, run, script, write_history
from support.databases import SERVERS, connect, execute, url_text

PROCESSES = 10

TENANTS = """\
import os
from collections.abc import Iterable

from migration_kit.settings import database_url
from sqlalchemy import URL


def tenants() -> Iterable[str]:
    return [f"{{os.environ['START']}}{{number:05}}" for number in range(int(os.environ["N"]))]
{url}
"""

URL_OF_TENANT = """

def tenant_url(name: str) -> URL:
    return database_url(name)
"""


class Fleet:
    """A project with empty tenants."""

    def __init__(self, folder: Path, kind: str, database: str, revisions: int) -> None:
        """Make the project; it has no tenants yet."""
        self.project = folder / "project"
        answers = {"project_name": "My App", "example": "none", "tenants": kind}
        answers |= {"database": database}
        copier.run_copy(
            str(ROOT),
            self.project,
            data=answers,
            defaults=True,
            quiet=True,
            vcs_ref="HEAD",
        )
        write_history(self.project, revisions, max(2, revisions // 4))
        url = URL_OF_TENANT if kind == "database" else ""
        (self.project / "migrations/tenants.py").write_text(TENANTS.format(url=url))
        self.kind = kind
        self.database = database
        self.env: dict[str, str] = {}

    @contextmanager
    def tenants(self, number: int) -> Iterator[None]:
        """Make tenants without tables, and drop them afterwards."""
        start = "t_" if self.kind == "schema" else f"fleet_{os.getpid()}_"
        names = [f"{start}{each:05}" for each in range(number)]
        with ExitStack() as stack:
            url = stack.enter_context(empty_database(self.database))
            for name in names:
                self.make(url, name)
                if self.kind == "database" and self.database != "sqlite":
                    drop = f"DROP DATABASE {name}"
                    stack.callback(execute, SERVERS[self.database], drop)
            self.env = {"START": start, "N": str(number), "PYTHONPATH": "src"}
            self.env["DATABASE_URL"] = url_text(url)
            yield

    def make(self, url: URL, name: str) -> None:
        """Make a tenant without tables."""
        if self.database == "sqlite":
            Path(url.database or "").with_name(f"{name}.db").touch()
        elif self.kind == "schema":
            with connect(url) as connection:
                connection.execute(text(f"CREATE SCHEMA {name}"))
                connection.commit()
        else:
            execute(SERVERS[self.database], f"CREATE DATABASE {name}")

    def alembic(self, number: int) -> float:
        """Upgrade some tenants in a process each, and return the seconds for one."""
        start = time.perf_counter()
        for each in range(number):
            tenant = f"tenant={self.env['START']}{each:05}"
            command = ("-x", tenant, "upgrade", "head")
            run(script("alembic"), *command, cwd=self.project, env=self.env)
        return (time.perf_counter() - start) / number

    def run(self, *arguments: str) -> tuple[float, int, int]:
        """Run `tenants`; return seconds, and the peak KiB of the command and of a worker."""
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "migrations", "tenants", *arguments],
            cwd=self.project,
            env=os.environ | self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        peaks: dict[int, int] = {}
        while process.poll() is None:
            for pid in [process.pid, *children(process.pid)]:
                peaks[pid] = max(peaks.get(pid, 0), memory(pid))
            time.sleep(0.05)
        assert process.returncode == 0
        seconds = time.perf_counter() - start
        parent = peaks.pop(process.pid)
        return seconds, parent, max(peaks.values(), default=0)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in found.split()]


def memory(pid: int) -> int:
    """Return the peak memory of a process in KiB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line), 0
    )


@contextmanager
def fleet(
    kind: str, database: str, tenants: int, revisions: int = 4
) -> Iterator[Fleet]:
    """Make a project with tenants, and delete them afterwards."""
    with TemporaryDirectory() as folder:
        made = Fleet(Path(folder), kind, database, revisions)
        with made.tenants(tenants):
            yield made


def against_processes(kind: str, database: str, tenants: int) -> None:
    """Print a row: the fleet and a process for each tenant."""
    with fleet(kind, database, tenants) as made:
        process = made.alembic(PROCESSES)
        made.run("downgrade", "base")
        seconds, parent, worker = made.run("upgrade")
        nothing, *_ = made.run("upgrade")
        current, *_ = made.run("current")
    projected = process * tenants
    print(
        f"{tenants:>5} {kind + 's, ' + database:<22}{projected:>8.0f} s{seconds:>8.1f} s"
        f"{projected / seconds:>7.0f} x{nothing:>8.1f} s{current:>8.1f} s"
        f"{parent / 1024:>7.0f} MiB{worker / 1024:>6.0f} MiB",
        flush=True,
    )


def growth() -> None:
    """Print how the fleet grows, on schemas."""
    print(f"{'tenants':>8}{'revisions':>10}{'jobs':>6}{'seconds':>9}  command  worker")
    rows = [(tenants, 4, 2) for tenants in (100, 400, 1600)]
    rows += [(100, revisions, 2) for revisions in (16, 64, 256)]
    rows += [(200, 4, jobs) for jobs in (1, 2, 4, 8)]
    for tenants, revisions, jobs in rows:
        with fleet("schema", "postgresql", tenants, revisions) as made:
            seconds, parent, worker = made.run("upgrade", "--jobs", str(jobs))
        print(
            f"{tenants:>8}{revisions:>10}{jobs:>6}{seconds:>9.1f}"
            f"{parent / 1024:>5.0f} MiB{worker / 1024:>4.0f} MiB",
            flush=True,
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--schemas", type=int, default=1000)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--databases", type=int, default=100)
    options = parser.parse_args()
    if options.growth:
        growth()
        return
    print(
        f"{'tenants':<28}{'processes':>10}{'fleet':>10}{'ratio':>9}{'nothing':>10}"
        f"{'current':>10}{'command':>11}{'worker':>10}"
    )
    for kind, database, tenants in (
        ("schema", "postgresql", options.schemas),
        ("database", "sqlite", options.files),
        ("database", "postgresql", options.databases),
        ("database", "mariadb", options.databases),
    ):
        if tenants:
            against_processes(kind, database, tenants)


if __name__ == "__main__":
    main()
