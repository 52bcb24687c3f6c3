"""A new revision looks as if somebody had written it."""

from __future__ import annotations

import pytest

from support.projects import New
from support.revisions import HERO
from support.variants import ONE_OF_EACH, Engine, Variant


def test_new_revision_has_a_dated_name_in_utc(new: New) -> None:
    project = new(Variant(example="none"))
    before = project.python(
        "import datetime as d; print(d.datetime.now(d.UTC).isoformat())"
    )
    project.alembic("revision", "-m", "Add Émile's cape", TZ="Pacific/Kiritimati")
    [revision] = project.versions.glob("*.py")
    assert revision.name.startswith(before[:10].replace("-", "_"))
    assert revision.name.endswith("_add_émile_s_cape.py")
    assert "import sqlalchemy as sa\nfrom alembic import op\n" in revision.read_text(
        "utf-8"
    )
    project.ruff()


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_empty_downgrade_refuses(new: New, engine: Engine) -> None:
    project = new(engine)
    project.alembic("revision", "-m", "by hand")
    project.alembic("upgrade", "head")
    output = project.alembic("downgrade", "-1", fails=True)
    assert "NotImplementedError: write the downgrade" in output
    assert project.query("SELECT version_num FROM alembic_version") != [(HERO,)]
    [path] = project.versions.glob("*_by_hand.py")
    assert path.read_text().count("    # ") == 3
    project.ruff()
    project.mypy()
