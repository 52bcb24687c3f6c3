"""Where the migrations are, and how you call the kit's commands for them."""

import os
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.util import CommandError, coerce_resource_to_filename

in_use = [Config()]  # the configuration of the run, or of the kit's command


def use(config: Config) -> Config:
    """Remember whose settings count from now on in this process, and return them."""
    in_use[:] = [config]
    kit = os.path.join(setting("script_location") or "", "migration_kit", "paths.py")
    if os.path.exists(kit) and not os.path.samefile(kit, __file__):
        folder = os.path.relpath(os.path.dirname(config.config_file_name or ""))
        raise CommandError(
            f"this process runs the migration_kit of another project than {folder}. "
            f"Use a process for each project, such as `pytest {folder}`"
        )
    return config


def setting(name: str) -> Any:
    """Return a setting of `[alembic]` in alembic.ini, else of `[tool.alembic]` in pyproject.toml."""
    in_toml = in_use[0]._get_toml_config_value(name)
    return in_use[0].file_config.get("alembic", name, fallback=in_toml)


def migrations() -> Path:
    """Return the folder of the migrations; an installed kit is not in it, and asks alembic.ini."""
    own = Path(__file__).resolve().parents[1]
    location = setting("script_location")
    if (own / "__main__.py").exists() or not location:
        return own
    return Path(coerce_resource_to_filename(location)).resolve()


def invocation(start: str | Path = os.curdir) -> str:
    """Return how to call the kit's commands, such as `python migrations`.

    Args:
        start: the folder where it is to work; in a package that can be imported, it works anywhere.
    """
    folder = migrations()
    names, parent = [folder.name], folder.parent
    while (parent / "__init__.py").exists():
        names.insert(0, parent.name)
        parent = parent.parent
    if len(names) > 1 and find_spec(names[0]):
        return f"python -m {'.'.join(names)}"
    return f"python {shlex.quote(Path(os.path.relpath(folder, start)).as_posix())}"


def update_command(answer: str) -> str:
    """Return the command that changes an answer of the project; it works in this folder."""
    file, answers = in_use[0].config_file_name, setting("answers_file")
    option = f" --answers-file {answers}" if answers else ""
    folder = os.path.dirname(os.path.relpath(file or "alembic.ini"))
    option += f" {shlex.quote(folder)}" if folder else ""
    return f"uvx copier update --vcs-ref=:current: --defaults --data {answer}{option}"
