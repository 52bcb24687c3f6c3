"""Commands for revisions, in addition to those of Alembic.

Alembic's post-write hook calls it as `python -m migration_kit`; people call the folder of the
migrations, whose `__main__.py` knows where alembic.ini is.
"""

import argparse
import os
import sys

from alembic.config import Config
from alembic.util import CommandError

from .errors import one_line
from .paths import invocation
from .rooms import rooms
from .sections import read_config


def main(config_file: str = "alembic.ini") -> None:
    """Run the command that the command line names, and exit with 1 if it fails."""
    option = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    option.add_argument(
        "--config", metavar="FILE", default=config_file, help="another alembic.ini"
    )
    path = os.path.abspath(option.parse_known_args()[0].config)
    try:
        with one_line(f"{path} cannot be read"):
            config = read_config(path)  # it says which rooms have commands
            arguments = parser_of_commands(option).parse_args()
        with one_line(f"{arguments.command} stopped"):
            if not os.path.exists(path):
                raise CommandError(f"no file {path}. Use `--config FILE`")
            arguments.run(config, arguments)
    except CommandError as error:
        sys.exit(f"FAILED: {error}")


def parser_of_commands(option: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Return the parser of the command line: an option, and the commands of the rooms."""
    parser = argparse.ArgumentParser(
        prog=invocation(),
        description="Commands for revisions, in addition to `alembic`.",
        parents=[option],
    )
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True
    )
    written = commands.add_parser("written")  # Alembic's hook, not a person, calls it
    written.add_argument("file")
    written.set_defaults(run=revision_written)
    if sys.argv[3:4] != ["written"]:  # the hook need not wait for what commands import
        named = tuple(f".{one}.room" for one in sys.argv[1:2])  # nor `ready` for others
        found = [one for one in rooms() if one.__module__.endswith(named)]
        for room in found or rooms():
            room.add_commands(commands.add_parser)
    return parser


def revision_written(config: Config, given: argparse.Namespace) -> None:
    """Let the rooms follow a revision that Alembic has written."""
    for room in rooms():
        room.revision_written(config, given.file)


if __name__ == "__main__":
    main()
