"""Checks of the history's heads, for tests/test_migrations.py."""

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from ..paths import invocation
from ..sections import commands_for
from .head import read_head, two_heads_remedy


def test_history_has_one_head(config: Config, script: ScriptDirectory) -> None:
    """Or one for each line, where branch labels tell several lines apart."""
    if remedy := two_heads_remedy(script):
        remedy = commands_for(config.config_ini_section, remedy)
        pytest.fail(f"Multiple head revisions: {remedy}", pytrace=False)


def test_head_file_names_the_head(script: ScriptDirectory) -> None:
    """The HEAD file is what two branches conflict in."""
    if read_head(script) != sorted(script.get_heads()):
        remedy = f"Run `{invocation()} head`"
        pytest.fail(f"HEAD does not name the newest revision. {remedy}", pytrace=False)
