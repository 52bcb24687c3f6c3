"""The page of a rename without downtime is right: old and new code run at once, and lose nothing."""

from __future__ import annotations

import re
import shutil
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import fork
from support.commands import environment
from support.databases import url_text
from support.projects import New, Project
from support.releases import ROOT
from support.variants import ENGINE_OF, POSTGRESQL, Variant

HERO = "src/my_app/models/hero.py"

# What an application does, with the code of one release. `secret_name` says what age, or years,
# must be; whoever reads sees both or neither.
APPLICATION = """
import os, random, sys
from pathlib import Path
from time import sleep
from sqlalchemy import func, select, update
from my_app.engine import Session
from my_app.models.hero import Hero

field, laps, stop = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
number = lap = 0
while not stop.exists():
    number += 1
    value = random.randrange(2**31)
    with Session.begin() as session:
        session.add(Hero(name=f"{os.getpid()}-{number}", secret_name=str(value), **{field: value}))
    with Session() as session:
        rows = session.scalar(select(func.count()).select_from(Hero))
        row = session.scalars(select(Hero.id).offset(random.randrange(rows)).limit(1)).one()
    with Session.begin() as session:
        # SQLite lets a transaction write that did not read before.
        session.execute(update(Hero).where(Hero.id == 0).values(name=""))
        hero = session.get_one(Hero, row, with_for_update=True)
        hero.secret_name = str(value := random.randrange(2**31))
        setattr(hero, field, value)
    with Session() as session:
        for hero in session.scalars(select(Hero).order_by(Hero.id.desc()).limit(50)):
            assert hero.secret_name == str(getattr(hero, field)), (hero.id, hero.secret_name)
    lap += 1
    laps.write_text(str(lap))
    sleep(0.03)
print("inserted", number)
"""

# The field that the code of each release reads.
FIELDS = ["age", "age", "years", "years", "years"]


class Release:
    """The code of one release, and its processes."""

    def __init__(self, number: int, project: Project, url: str, folder: Path) -> None:
        """Take a copy of the code as it is now."""
        self.number, self.url = number, url
        self.folder = folder / str(number)
        shutil.copytree(project / "src", self.folder / "src")
        self.processes: list[fork.Process] = []

    def start(self) -> None:
        """Start two processes, and wait until they work."""
        env = environment(DATABASE_URL=self.url, PYTHONPATH="src")
        for name in ("one", "two"):
            words = [FIELDS[self.number], name, "stop"]
            command = ["python", "-c", APPLICATION, *words]
            self.processes.append(fork.start(command, self.folder, env))
        self.work()

    def laps(self) -> list[int]:
        """Return how often each process has gone round."""
        files = [self.folder / name for name in ("one", "two")]
        return [int(f"0{f.read_text()}") if f.exists() else 0 for f in files]

    def work(self) -> None:
        """Wait until each process has gone round three times more."""
        before = self.laps()
        while any(lap < was + 3 for lap, was in zip(self.laps(), before, strict=True)):
            for process in self.processes:
                assert process.poll() is None, process.finish()
            time.sleep(0.01)

    def stop(self) -> int:
        """Stop the processes, which have seen no error, and return how many rows they made."""
        (self.folder / "stop").touch()
        inserted = 0
        for process in self.processes:
            output = process.finish()
            assert process.returncode == 0, output
            inserted += int(output.split()[-1])
        return inserted


def blocks_of_the_page(path: str) -> list[str]:
    """Return what the page writes into a file, one text after the other."""
    page = (ROOT / "docs/how-to/expand-contract.md").read_text(encoding="utf-8")
    found = re.findall(
        rf"^```{{file}} rename {re.escape(path)}\n(?::[^\n]*\n)*(.*?)^```",
        page,
        re.DOTALL | re.MULTILINE,
    )
    return [text for text in found if text]


def operations(path: str) -> tuple[str, str]:
    """Return the bodies of upgrade and downgrade that the page writes into a revision."""
    [text] = blocks_of_the_page(path)
    _, up, down = re.split(r"def \w+\(\) -> None:\n", text)
    return textwrap.dedent(up), textwrap.dedent(down)


@pytest.fixture
def releases() -> Iterator[list[Release]]:
    """The releases that a test has started; none goes on after it."""
    started: list[Release] = []
    yield started
    for release in started:
        for process in release.processes:
            process.kill()


@pytest.mark.parametrize(
    "variant",
    [
        Variant(ENGINE_OF["sqlite-pysqlite-sync"]),
        Variant(POSTGRESQL, migrations_in_package=True),
        Variant(ENGINE_OF["mariadb-pymysql-sync"]),
    ],
    ids=str,
)
def test_old_and_new_code_run_at_once_and_lose_nothing(
    new: New, tmp_path: Path, releases: list[Release], variant: Variant
) -> None:
    project = new(variant).upgraded()
    url = url_text(project.url)
    if not variant.engine.server:
        project.query("PRAGMA journal_mode=WAL")
    releases.append(Release(0, project, url, tmp_path))
    releases[0].start()
    copying = operations("migrations/versions/*_copy_age_to_years.py")
    add = 'op.add_column("heroes", sa.Column("years", sa.Integer(), nullable=True))'
    revisions = [
        (add, 'op.drop_column("heroes", "years")'),
        copying,
        None,
        operations("migrations/versions/*_drop_age.py"),
    ]
    head, inserted = "4f1c8a2d7b3e", 0
    models = blocks_of_the_page(HERO)
    for number, (model, revision) in enumerate(zip(models, revisions, strict=True), 1):
        if revision:
            project.add_revision(f"release{number}", *revision, down_revision=head)
            head = f"release{number}"
        project.write(HERO, model)
        project.alembic("upgrade", "head", MIGRATIONS_PROTECTED="true")
        old, now = releases[-1], Release(number, project, url, tmp_path)
        releases.append(now)
        old.work()
        now.start()
        old.work()
        inserted += old.stop()
    inserted += releases[-1].stop()
    project.alembic("check")
    rows = project.query("SELECT secret_name, years FROM heroes")
    assert len(rows) == inserted > 50
    assert all(secret_name == str(years) for secret_name, years in rows)
    project.alembic("downgrade", "4f1c8a2d7b3e")
    rows = project.query("SELECT secret_name, age FROM heroes")
    assert all(secret_name == str(age) for secret_name, age in rows)
