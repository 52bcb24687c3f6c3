"""Checks of the history's heads, for tests/test_migrations.py."""

from alembic.config import Config
from alembic.script import ScriptDirectory

from ..paths import invocation
from ..sections import commands_for
from .head import read_head, rival_heads, two_heads_remedy


def test_history_has_one_head(config: Config, script: ScriptDirectory) -> None:
    """Or one for each line, where branch labels tell several lines apart."""
    heads = rival_heads(script)
    remedy = commands_for(config.config_ini_section, two_heads_remedy(heads))
    assert not heads, f"the heads are {', '.join(heads)}; {remedy}"


def test_head_file_names_the_head(script: ScriptDirectory) -> None:
    """The HEAD file is what two branches conflict in."""
    assert read_head(script) == sorted(script.get_heads()), (
        f"HEAD names another revision; mend it with `{invocation()} head`"
    )
