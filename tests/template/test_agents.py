"""AGENTS.md: rules for revisions, only if asked for, short, and true for the project's answers."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import copier
import pytest

from support import layout
from support.adopted import DECLARATIVE, adopt, write
from support.commands import run, script
from support.databases import url_text
from support.history import NOW, commit, conflicts, copy, git, update
from support.projects import Database, New, Project, Render
from support.revisions import revision_of
from support.variants import (
    ENGINE_OF,
    EXISTING,
    FEATURES,
    INSTALLED,
    POSTGRESQL,
    ROOMS,
    SEVERAL,
    TENANTS,
    Variant,
)

MARIADB = ENGINE_OF["mariadb-pymysql-sync"]

# Each answer that changes a line; the first variant has most of them.
PAGES = dict.fromkeys(
    replace(one, agents=True, ci="none", example="none")
    for one in (
        Variant(MARIADB, compose=True, more=(POSTGRESQL,), tenants="database"),
        *(*ROOMS, *EXISTING[::4], *SEVERAL, *TENANTS, *INSTALLED),
    )
)

# The rooms that the page tells of; nothing has to be known of the others to write a revision.
TOLD = set(layout.OF_ROOMS) - {"autogenerate", "squash", "ready"}


def page_of(template: Path, folder: Path, variant: Variant) -> str:
    """Render the page, and nothing else."""
    copier.run_copy(
        str(template),
        folder,
        data=variant.answers,
        exclude=["*", "!AGENTS.md"],
        defaults=True,
        quiet=True,
    )
    return (folder / "AGENTS.md").read_text(encoding="utf-8")


def test_there_is_no_trace_of_it_by_default(render: Render) -> None:
    project = render()
    for path in project.rglob("*"):
        if path.is_file() and path.name != ".copier-answers.yml":
            assert "AGENTS" not in path.name + path.read_text(encoding="utf-8")


def test_page_is_short_and_tells_of_the_rooms_and_of_no_other(
    template: Path, committed: Path, tmp_path: Path
) -> None:
    for number, variant in enumerate(PAGES):
        source = committed if variant.kit == "installed" else template
        page = page_of(source, tmp_path / str(number), variant)
        assert page.count("\n") <= 40, variant
        assert [line for line in page.splitlines() if len(line) > 120] == [], variant
        assert f"{variant.migrations}/versions/" in page
        kinds = {engine.database for engine in variant.engines}
        for room, pattern in layout.OF_ROOMS.items():
            found = re.search(pattern, page)
            assert not found or room in variant.rooms, f"{variant}: {found}"
        for room in TOLD & variant.rooms:
            there = room not in {"online", "security"} or "postgresql" in kinds
            there &= room != "security" or not kinds & {"mysql", "mariadb"}  # no room
            assert bool(re.search(layout.OF_ROOMS[room], page)) == there, room
        assert ("roll it back" in page) == bool(kinds & {"mysql", "mariadb"})
        assert ("migration_kit/" in page) == (variant.kit == "copied")
        assert ("REVIEW" in page) == ("autogenerate" in variant.rooms)


# ------------------------------------------------------------------------ Commands

CAPE = '''\
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class Cape(Base):
    """What a hero wears."""

    __tablename__ = "capes"

    id: Mapped[int] = mapped_column(primary_key=True)
    hero_id: Mapped[int] = mapped_column(ForeignKey("heroes.id"))
    color: Mapped[str | None] = mapped_column(String(20))
'''
HERO = "src/my_app/models/hero.py"
NO_DRIFT = "No new upgrade operations detected"


class Reader:
    """Somebody who does what the page says, and nothing else."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.page = project.read("AGENTS.md")
        [self.block] = re.findall(r"```shell\n(.*?)```", self.page, re.DOTALL)
        rest = self.page.replace(self.block, "").replace("\n  ", " ")
        self.spans: list[str] = re.findall(r"`(uv run [^`]+)`", rest)

    def type(self, command: str) -> str:
        """Run a command of the page; uv's part is tested with the README's."""
        project, words = self.project, shlex.split(command)
        if words[0] == "git":
            return project.git(*words[1:])
        assert words.pop(0) == "uv"
        assert words.pop(0) == "run"
        if words[0] not in {"alembic", "pytest", "python"}:
            return run(script(words[0]), *words[1:], cwd=project, env=project.env)
        url = url_text(project.url)
        server = {} if "sqlite" in url else {"TEST_DATABASE_URL": url}
        elsewhere = words[0] == "pytest"
        path = {"PATH": f"{script('squawk').parent}:/usr/bin:/bin"}
        return project.run(*words, elsewhere=elsewhere, env=server | path)

    def follow(self, change: str, code: str) -> str:
        """Run the commands in order; write a model where the page says so."""
        output, done = "", []
        for line in self.block.splitlines():
            if line.startswith("# Change the models"):
                self.project.write(change, code)
                done.append("model")
            elif line.startswith("# Read the new file"):
                assert "create_table" in self.project.revision("add_capes").read_text()
                done.append("read")
            else:
                for command in line.partition("  #")[0].split(" && "):
                    output += self.type(command)
        assert done == ["model", "read"]
        return output

    def span(self, words: str) -> str:
        """Return the one command with some words, and tick it off."""
        [found] = [span for span in self.spans if words in span]
        self.spans.remove(found)
        return found

    def migrate(self) -> None:
        assert NO_DRIFT in self.type("uv run alembic upgrade head") + self.type(
            "uv run alembic check"
        )

    def body(self, message: str, upgrade: str, downgrade: str) -> Path:
        """Write the functions of a new revision, whatever they were."""
        path = self.project.revision(message)
        head = path.read_text().partition("def upgrade")[0]
        path.write_text(
            f"{head}def upgrade() -> None:\n    {upgrade}\n\n\n"
            f"def downgrade() -> None:\n    {downgrade}\n"
        )
        return path


def variants_to_follow() -> list[Variant]:
    return [
        Variant(POSTGRESQL, agents=True),
        Variant(MARIADB, features=FEATURES["default"], tenants="database", agents=True),
    ]


@pytest.mark.parametrize("variant", variants_to_follow(), ids=str)
def test_commands_work_in_their_order(new: New, variant: Variant) -> None:
    project = new(variant)
    project.commit()
    reader = Reader(project)
    output = reader.follow("src/my_app/models/cape.py", CAPE)
    assert NO_DRIFT in output
    assert "Success: no issues found" in output
    checks = 7 if "backfill" in variant.rooms else 6
    assert f"{checks} passed" in output
    assert ("1 new revision: nothing found" in output) == ("lint" in variant.features)
    assert project.tables() == {"heroes", "capes"}
    assert project.git("status", "--porcelain") == ""
    last = project.git("show", "--name-only", "--format=").split()
    assert {"src/my_app/models/cape.py", "migrations/HEAD"} <= set(last)
    assert revision_of(project.revision("add_capes")) == project.head().strip()

    project.query("INSERT INTO heroes (name, secret_name, age) VALUES ('a', 'b', 7)")
    rename(reader, variant)
    drop(reader)
    fill(reader)
    if "online" in variant.features:
        project.edit(HERO, "    name:", "    rank: Mapped[int | None]\n    name:")
        reader.type(reader.span("online=true"))
        reader.migrate()
    if "backfill" in variant.features:
        backfill(reader)
    start_over(reader)
    merge(reader)
    if variant.tenants != "none":
        source = project.read("migrations/tenants.py")
        source = re.sub(r"raise .*", "return []", source)
        project.write("migrations/tenants.py", source)
        reader.type(reader.span("tenants upgrade"))
    assert reader.spans == []


def rename(reader: Reader, variant: Variant) -> None:
    project = reader.project
    project.edit(HERO, "age:", "years:")
    if "renames" in variant.features:
        reader.type(reader.span("rename="))
    else:
        [sql] = re.findall(r'`(op\.execute\("ALTER .*?"\))`', reader.page)
        reader.type('uv run alembic revision --autogenerate -m "years"')
        opposite = sql.replace("age TO years", "years TO age")
        reader.body("years", sql, opposite)
    reader.migrate()
    assert project.query("SELECT years FROM heroes") == [(7,)]


def drop(reader: Reader) -> None:
    project = reader.project
    [line] = re.findall(r"`(age: Unmapped.*?)`", reader.page)
    line = line.replace("age", "years")
    names = "Unmapped, unmapped_column"
    project.edit(HERO, "years: Mapped[int | None]", line)
    project.edit(HERO, "orm import", f"orm import {names},")
    assert NO_DRIFT in reader.type("uv run alembic check")
    project.edit(HERO, f"    {line}\n", "")
    project.edit(HERO, f" {names},", "")
    reader.type('uv run alembic revision --autogenerate -m "drop years"')
    assert "drop_column" in project.revision("drop_years").read_text()
    reader.migrate()


def fill(reader: Reader) -> None:
    project = reader.project
    project.query("INSERT INTO capes (hero_id) SELECT id FROM heroes")
    reader.type(reader.span("fill capes"))
    path = project.revision("fill_capes")
    assert "raise NotImplementedError" in path.read_text()
    reader.body(
        "fill_capes",
        'capes = sa.table("capes", sa.column("color"))\n'
        '    op.execute(sa.update(capes).values(color="red"))',
        '"""Nothing to undo: no color meant red."""',
    )
    reader.migrate()
    assert project.query("SELECT color FROM capes") == [("red",)]
    assert re.search(r"\b[67] passed", reader.type("uv run pytest"))


def backfill(reader: Reader) -> None:
    project = reader.project
    details = project.read("docs/migrations.md")
    assert "`@backfill` as in docs/migrations.md" in reader.page
    [heroes] = re.findall(r"```python\n(heroes = .*?)```", details, re.DOTALL)
    [fills] = re.findall(r"```python\n(@backfill.*?)```", details, re.DOTALL)
    code = (heroes + fills).replace("years", "rank").replace("heroes.c.age", "9")
    code = code.replace(" & 9.is_not(None)", "")
    reader.type('uv run alembic revision -m "ranks of all"')
    path = reader.body("ranks_of_all", "pass", '"""Nothing to undo."""')
    source = path.read_text().replace("def upgrade", f"{code}\n\ndef upgrade")
    imports = "from alembic import op\nfrom migration_kit.backfill import backfill\n"
    path.write_text(source.replace("from alembic import op\n", imports))
    reader.migrate()
    reader.type(reader.span("backfill NAME").replace("NAME", "fill_rank"))
    assert project.query("SELECT rank FROM heroes") == [(9,)]


def start_over(reader: Reader) -> None:
    """Revert a revision that is wrong, whether it has run or not, and write it again."""
    project = reader.project
    command = reader.span("downgrade REVISION")
    before = project.head().strip()
    project.edit(HERO, "    name:", "    wrong: Mapped[int | None]\n    name:")
    for has_run in [True, False]:
        reader.type('uv run alembic revision --autogenerate -m "wrong"')
        if has_run:
            reader.migrate()
        reader.type(command.replace("REVISION", before))
        assert project.version() == [before]
        project.revision("wrong").unlink()
    project.edit(HERO, "wrong:", "right:")
    reader.type('uv run alembic revision --autogenerate -m "right"')
    reader.migrate()
    assert project.head().strip() == revision_of(project.revision("right"))


def merge(reader: Reader) -> None:
    project = reader.project
    mine = project.revision("right")
    theirs = mine.with_name("2026_03_01_0000-0123456789ab_theirs.py")
    source = mine.read_text().replace(revision_of(mine), "0123456789ab")
    theirs.write_text(re.sub("right", "theirs", source))
    project.edit(HERO, "    name:", "    theirs: Mapped[int | None]\n    name:")
    output = reader.type(reader.span("rebase").replace("YOURS", revision_of(mine)))
    *_, remedy = output.splitlines()
    for command in re.findall(r"`(alembic [^`]+)`", remedy):
        reader.type(f"uv run {command}")
    reader.migrate()


def test_commands_work_in_an_existing_project(
    template: Path, tmp_path: Path, database: Database
) -> None:
    write(tmp_path / "src", DECLARATIVE)
    (tmp_path / ".gitignore").write_text("__pycache__/\n.pytest_cache/\n")
    adopt(template, tmp_path, "shop.models:Base", agents=True)
    project = Project(tmp_path, database("sqlite", "pysqlite"), env={})
    project.commit()
    reader = Reader(project)
    models = "src/shop/models.py"
    cape = "\n\nclass Cape(Base):\n    __tablename__ = 'capes'\n\n"
    cape += "    id: Mapped[int] = mapped_column(primary_key=True)\n"
    output = reader.follow(models, project.read(models) + cape)
    assert "6 passed" in output
    assert project.tables() == {"orders", "capes"}
    assert project.git("status", "--porcelain") == ""


# ----------------------------------------------------------------- A file of yours

MINE = "# Mine\n"
EXISTS = {"base_location": "existing", "base_import": "my_app.models:Base"}
YES: dict[str, Any] = {"agents": True}


def test_a_copy_does_not_replace_your_own_file(template: Path, tmp_path: Path) -> None:
    mine = tmp_path / "AGENTS.md"
    mine.write_text(MINE)
    with pytest.raises(ValueError, match=r"answer no, or rename your own AGENTS.md"):
        adopt(template, tmp_path, "my_app.models:Base", agents=True)
    assert [path.name for path in tmp_path.iterdir()] == ["AGENTS.md"]
    adopt(template, tmp_path, "my_app.models:Base")
    assert mine.read_text() == MINE


@pytest.mark.parametrize("release", ["v3.3.0", NOW])
def test_an_update_does_not_replace_your_own_file(
    history: Path, tmp_path: Path, release: str
) -> None:
    project = copy(history, tmp_path / "project", EXISTS, release)
    mine = project / "AGENTS.md"
    mine.write_text(MINE)
    commit(project, "My rules")
    if release != NOW:
        update(project)
        assert mine.read_text() == MINE
        commit(project, "Update")
    with pytest.raises(ValueError, match=r"answer no, or rename your own AGENTS.md"):
        update(project, **YES)
    assert git(project, "status", "--porcelain") == ""
    git(project, "mv", "AGENTS.md", "MINE.md")
    commit(project, "Rename")
    update(project, **YES)
    assert "# Rules for revisions" in mine.read_text()
    assert (project / "MINE.md").read_text() == MINE


def test_your_lines_stay_and_the_answer_no_deletes_none(
    history: Path, tmp_path: Path
) -> None:
    project = copy(history, tmp_path / "project", YES)
    page = project / "AGENTS.md"
    assert " lint" not in page.read_text()
    page.write_text(page.read_text().replace("## Never\n", f"{MINE}\n## Never\n"))
    commit(project, "My rules")
    features = [*FEATURES["default"], "lint"]
    update(project, features=features)
    assert conflicts(project) == []
    assert MINE in page.read_text()
    assert "migrations lint" in page.read_text()
    commit(project, "Add lint")
    with pytest.raises(ValueError, match=r"`git rm AGENTS.md`, commit, run this again"):
        update(project, agents=False)
    assert git(project, "status", "--porcelain") == ""
    git(project, "rm", "--quiet", "AGENTS.md")
    commit(project, "Remove")
    update(project, agents=False)
    assert not page.exists()
