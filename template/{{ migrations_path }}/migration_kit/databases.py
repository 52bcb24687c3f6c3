"""The databases of the project: each section of alembic.ini that has a history of its own."""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alembic.config import CommandLine, Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from .settings import FIRST


def add_commands(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add `all` to the command line."""
    parser = add_parser(
        "all",
        help="run a command of Alembic on each database: all upgrade head",
        usage="%(prog)s [-x NAME=VALUE] COMMAND ...",
    )
    parser.add_argument(
        "-x",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting, as of `alembic`",
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parser.set_defaults(
        run=lambda config, given: run_on_all(config, given.arguments, given.x)
    )


def read_config(
    config_file: str | Path | None, section: str = FIRST, **options: Any
) -> Config:
    """Return the configuration of a database, as the `alembic` command reads it.

    Args:
        config_file: path of alembic.ini; settings may also stand in the table `[tool.alembic]` of
            a pyproject.toml beside it.
        section: of alembic.ini.
        options: of `Config`.
    """
    beside = Path(config_file).with_name("pyproject.toml") if config_file else None
    return Config(config_file, toml_file=beside, ini_section=section, **options)


def databases(config_file: str | Path | None) -> list[str]:
    """Return the sections of alembic.ini that have a history, as `alembic -n` takes them.

    Where none says `script_location`, it is the first one, of which Alembic then complains.

    Args:
        config_file: path of alembic.ini.
    """
    parser = Config(config_file).file_config
    sections = parser.sections()
    found = [name for name in sections if parser.has_option(name, "script_location")]
    return found or [FIRST]


def histories(config: Config) -> Iterator[tuple[Config, ScriptDirectory]]:
    """Yield the configuration of each database of alembic.ini, and its history."""
    for name in databases(config.config_file_name):
        one = read_config(config.config_file_name, name)
        yield one, ScriptDirectory.from_config(one)


@lru_cache(maxsize=1)
def other_histories(config: Config) -> list[tuple[Config, ScriptDirectory]]:
    """Return the configurations and histories of the databases beside that of a section."""
    return [
        (other, script)
        for other, script in histories(config)
        if other.config_ini_section != config.config_ini_section
    ]


def commands_for(section: str, text: str) -> str:
    """Return a text whose commands of `alembic` work on the database of a section."""
    option = "" if section == FIRST else f"-n {section} "
    return re.sub("`alembic (?!-n )", f"`alembic {option}", text)


def packages_of_others(config: Config, packages: Sequence[str]) -> list[str]:
    """Return the packages that other databases have within one's own.

    Args:
        config: of this database.
        packages: its own; `my_app` has `my_app.analytics` for the section `[analytics]`.
    """
    return [
        f"{package}.{name}"
        for package in packages
        if package in sys.modules
        for name in databases(config.config_file_name)
        if name != config.config_ini_section and find_spec(f"{package}.{name}")
    ]


def run_on_all(
    config: Config, arguments: Sequence[str], settings: Sequence[str] = ()
) -> None:
    """Run a command of Alembic on each database, one after the other, whatever fails.

    Args:
        config: of alembic.ini.
        arguments: what stands behind `alembic` on the command line.
        settings: each one as `-x` takes it.

    Raises:
        CommandError: naming the databases where it failed.
    """
    if not arguments:
        raise CommandError("name a command of Alembic, for example: all upgrade head")
    file = str(config.config_file_name)
    names = databases(file)
    given = [word for setting in settings for word in ("-x", setting)]
    run = run_here if share_modules(file, names) else run_in_process
    failed = []
    for name in names:
        print(f"[{name}]", file=sys.stderr, flush=True)
        if not run(["--config", file, "--name", name, *given, *arguments]):
            failed.append(name)
    if failed:
        raise CommandError(f"it failed on {', '.join(failed)}; see above")


def share_modules(config_file: str, names: Sequence[str]) -> bool:
    """Tell whether a name imports the same module for each database."""
    configs = (read_config(config_file, name) for name in names)
    return len({config.get_main_option("prepend_sys_path") for config in configs}) < 2


def run_here(arguments: Sequence[str]) -> bool:
    try:
        CommandLine(prog="alembic").main([*arguments])
    except SystemExit as end:  # Alembic has printed why
        return not end.code
    finally:
        # What Alembic printed comes before what is said of it, in a file as well.
        sys.stdout.flush()
    return True


def run_in_process(arguments: Sequence[str]) -> bool:
    command = [sys.executable, "-m", "alembic", *arguments]
    return subprocess.run(command, check=False).returncode == 0
