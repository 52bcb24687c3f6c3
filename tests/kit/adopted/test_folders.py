"""Several folders of revisions, of which alembic.ini misspells one."""

from __future__ import annotations

from pathlib import Path

from support.adopted import DECLARATIVE, REVISION, adopt, write
from support.projects import Database, Project, last_line


def test_folder_that_is_not_there_is_named(
    template: Path, tmp_path: Path, database: Database
) -> None:
    """Alembic skips it, with the half of the history that was meant."""
    versions = "migrations/versions"
    other = REVISION.replace("0001", "0002") + '\nbranch_labels = "shelves"\n'
    revisions = {f"{versions}/0001.py": REVISION, f"{versions}/shelves/0002.py": other}
    write(tmp_path, DECLARATIVE | revisions)
    adopt(template, tmp_path, "shop.models:Base", source_dir="root")
    project = Project(tmp_path, database("sqlite", "pysqlite"))
    zone = "timezone = UTC\n"
    folders = [f"    %(here)s/{versions}\n", f"    %(here)s/{versions}/shelfs\n"]
    setting = "version_locations =\n" + "".join(folders)
    project.edit("alembic.ini", zone, zone + setting)
    for command in (["upgrade", "heads"], ["upgrade", "heads", "--sql"]):
        line = last_line(project.alembic(*command, fails=True))
        assert line == (
            f"there is no revision in {versions}/shelfs, but in {versions}/shelves. Add the "
            f"folder to alembic.ini: `version_locations = %(here)s/{versions}/shelves`, "
            "next to those that it has"
        )
