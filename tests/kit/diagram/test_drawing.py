"""docs/schema.md draws models and revisions."""

from __future__ import annotations

import shutil

from support.damage import change_model, two_heads
from support.projects import New
from support.revisions import HERO


def test_drawing_follows_models_and_revisions(new: New) -> None:
    project = new()
    page = project / "docs/schema.md"
    change_model(project)
    output = project.kit("draw --check", fails=True)
    assert output.startswith("FAILED: docs/schema.md is out of date; `uv run python ")
    project.kit("draw")
    project.kit("draw --check")
    assert "    INTEGER power\n" in page.read_text()

    two_heads(project)
    path = project / "migrations/versions/two.py"
    path.write_text(path.read_text().replace("two", "two <b> & #d", 1))
    project.kit("draw --check", fails=True)
    project.kit("draw")
    assert f"    r{HERO} --> rone\n" in page.read_text()
    assert 'rtwo["two<br>two #lt;b#gt; #amp; #35;d"]' in page.read_text()
    shutil.rmtree(page.parent)
    project.kit("draw --check", fails=True)
    project.kit("draw")
    assert page.exists()
