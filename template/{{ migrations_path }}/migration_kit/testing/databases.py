"""Scratch databases in place of all of the project's databases but the first one."""

import os
from functools import cache
from pathlib import Path

from ..sections import databases
from ..settings import FIRST, url_variable
from .scratch import ScratchDatabase


@cache
def replace_other_databases(config_file: Path) -> dict[str, ScratchDatabase]:
    """Lead the code under test to scratch databases, in place of all but the first one.

    Args:
        config_file: the path of alembic.ini.

    Returns:
        The databases by their section of alembic.ini, the same ones at each call; they are not
        created yet. The environment variable of each leads there.
    """
    others = {
        name: ScratchDatabase(config_file, name)
        for name in databases(config_file)
        if name != FIRST
    }
    for name, scratch in others.items():
        url = scratch.url.render_as_string(hide_password=False)
        os.environ[url_variable(name)] = url
    return others
