"""Commands of Alembic on all databases of the project."""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec

from alembic import context
from alembic.config import CommandLine, Config
from alembic.util import CommandError

from ..histories import other_histories
from ..sections import databases, read_config
from ..settings import get_url


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
        help="a setting, as for `alembic`",
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parser.set_defaults(
        run=lambda config, given: run_on_all(config, given.arguments, given.x)
    )


def packages_of_others(config: Config, packages: Sequence[str]) -> list[str]:
    """Return the packages that other databases have within those of this one.

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


def remedy_for_other_history(revision: str) -> str:
    """Return cause and fix if another database's history has a revision, or nothing."""
    for config, script in other_histories(context.config):
        with suppress(CommandError):
            script.get_revision(revision)
            section = config.config_ini_section
            return (
                f"it is one of [{section}]. Use `alembic -n {section}`, correct {get_url()[1]}, "
                "or give each history in one database its own version_table in alembic.ini"
            )
    return ""


def run_on_all(
    config: Config, arguments: Sequence[str], settings: Sequence[str] = ()
) -> None:
    """Run a command of Alembic on each database, one after the other, whatever fails.

    Args:
        config: of alembic.ini.
        arguments: those after `alembic` on the command line.
        settings: each one as `-x` takes it.

    Raises:
        CommandError: naming the databases where it failed.
    """
    if not arguments:
        raise CommandError("no command. Use, for example, `all upgrade head`")
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
        raise CommandError(
            f"it failed on {', '.join(failed)}. Fix it, and run it again"
        )


def share_modules(config_file: str, names: Sequence[str]) -> bool:
    """Return whether a name imports the same module for each database."""
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
