"""What `alembic check` takes with many tables, next to the same of another release.

``uv run python benchmarks/check.py`` prints seconds, CPU time and peak memory of the program, of a
project made from this checkout and of one made from ``--against``: a release whose archive is in
`tests/releases`, or a git ref. The commands take turns; the ratio is the median of all pairs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import copier
from sqlalchemy import URL

from projects import DRIVERS, ROOT, empty_database, run
from support.releases import PARTS, archive, copy_template, unpack

MODELS = """\
import sqlalchemy as sa

from my_app.models.base import Base

metadata = Base.metadata
for i in range({tables}):
    sa.Table(
        f"t{{i}}",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(50), nullable=False, server_default="x", index=True),
        sa.Column("code", sa.String(9), unique=True),
        sa.Column("made", sa.DateTime, server_default=sa.func.now()),
        sa.Column("n", sa.Integer),
        sa.Column("note", sa.Text),
        sa.Column("price", sa.Numeric(10, 2)),
        *([sa.Column("ref", sa.ForeignKey(f"t{{i // 2}}.id"), index=True)] if i else []),
        sa.CheckConstraint("n > 0", name="pos"),
    )
"""
CREATE = """\
import os
from my_app.models import Base
from sqlalchemy import create_engine

Base.metadata.create_all(create_engine(os.environ["DATABASE_URL"]))
"""
# The peak of this program alone: that of getrusage() counts the one that started it.
CHECK = """\
import re, sys
from alembic.config import main

try:
    main(["check"], prog="alembic")
finally:
    status = open("/proc/self/status").read()
    print("PEAK", re.search(r"VmHWM:\\s+(\\d+)", status)[1], file=sys.stderr)
"""


class Cost(NamedTuple):
    """Seconds, those of the program's CPU, and MiB."""

    wall: float
    cpu: float
    peak: float


def cost(project: Path, url: URL) -> Cost:
    """Return what one `alembic check` takes, which must be clean."""
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(
        [sys.executable, "-c", CHECK],
        cwd=project,
        env=environment(url),
        check=False,
        capture_output=True,
        text=True,
    )
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    if done.returncode:
        raise SystemExit(f"check fails in {project.name}: {done.stdout}{done.stderr}")
    return Cost(wall, cpu, int(done.stderr.rpartition("PEAK ")[2]) / 1024)


def environment(url: URL) -> dict[str, str]:
    """Return what the commands need."""
    return {
        "PYTHONPATH": "src",
        "DATABASE_URL": url.render_as_string(hide_password=False),
    }


def template_of(version: str, folder: Path) -> Path:
    """Write the template of a release or of a git ref into a folder; of the checkout for none."""
    folder.mkdir()
    if not version:
        return copy_template(folder)
    if archive(version).exists():
        unpack(version, folder)
        return folder
    packed = subprocess.run(
        ["git", "archive", version, *PARTS], cwd=ROOT, check=True, capture_output=True
    )
    subprocess.run(["tar", "-x"], cwd=folder, check=True, input=packed.stdout)
    return folder


@contextmanager
def made(database: str, versions: dict[str, str]) -> Iterator[dict[str, Path]]:
    """Make a project of each version."""
    with TemporaryDirectory() as folder:
        projects = {}
        answers = {"project_name": "My App", "database": database, "example": "none"}
        for name, version in versions.items():
            template = template_of(version, Path(folder, f"template-{name}"))
            projects[name] = Path(folder, name)
            copier.run_copy(
                str(template), projects[name], data=answers, defaults=True, quiet=True
            )
        yield projects


def compare(
    projects: dict[str, Path], database: str, tables: int, pairs: int
) -> dict[str, list[Cost]]:
    """Return the costs by project; both look at one database."""
    for project in projects.values():
        models = project / "src/my_app/models/tables.py"
        models.write_text(MODELS.format(tables=tables), encoding="utf-8")
    costs: dict[str, list[Cost]] = {name: [] for name in projects}
    with empty_database(database) as url:
        env = environment(url)
        run(sys.executable, "-c", CREATE, cwd=projects["ours"], env=env)
        for number in range(-1, pairs):  # the first pair compiles modules
            for name in sorted(projects, reverse=bool(number % 2)):
                found = cost(projects[name], url)
                if number >= 0:
                    costs[name].append(found)
    return costs


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", default="3.0.0", help="a release, or a git ref")
    parser.add_argument("--tables", type=int, nargs="*", default=[20, 300, 1000])
    parser.add_argument("--pairs", type=int, default=5, help="of each kind")
    parser.add_argument("--database", choices=DRIVERS, action="append")
    given = parser.parse_args()
    print(
        f"`alembic check`, {given.pairs} pairs; {given.against}, then this checkout\n"
    )
    print(
        "| database | tables | seconds | ratio | CPU | ratio | MiB at the peak | ratio |"
    )
    print("| --- |" + " ---: |" * 7)
    for database in given.database or DRIVERS:
        with made(database, {"other": given.against, "ours": ""}) as projects:
            for tables in given.tables:
                costs = compare(projects, database, tables, given.pairs)
                cells = []
                for figure, digits in (("wall", 2), ("cpu", 2), ("peak", 0)):
                    other, ours = (
                        [getattr(one, figure) for one in costs[name]]
                        for name in ("other", "ours")
                    )
                    ratio = statistics.median(
                        mine / theirs for mine, theirs in zip(ours, other, strict=True)
                    )
                    middles = (statistics.median(values) for values in (other, ours))
                    cells += [" to ".join(f"{one:.{digits}f}" for one in middles)]
                    cells += [f"{ratio:.2f}"]
                print(f"| {database} | {tables} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
