"""Servers on which no lock keeps a second process from migrating: they are refused."""

import logging
import re

from alembic import context
from alembic.util import CommandError

log = logging.getLogger(f"alembic.{__name__}")

# What a server's version() says, and the first release whose locks hold, if there is one.
WITHOUT_LOCK = [
    ("CockroachDB", r"CockroachDB", None),
    ("YugabyteDB before 2025.1", r"-YB-(\d{4})\.(\d+)", (2025, 1)),
    ("YugabyteDB before 2025.1", r"-YB-(\d)\.(\d+)", (2, 27)),
    ("TiDB before 6.1", r"-TiDB-v(\d+)\.(\d+)", (6, 1)),
]


def one_job_migrates() -> bool:
    """Tell whether the user says, with the setting `lock`, that no lock is needed.

    Raises:
        CommandError: if it has another value than `none`.
    """
    value = context.get_x_argument(as_dictionary=True).get(
        "lock", context.config.get_main_option("lock", "")
    )
    if value not in {"", "none"}:
        raise CommandError(
            f"lock is {value!r}; leave it out, or write none where only one job migrates"
        )
    if value:
        log.warning("lock = none: nothing keeps two processes from migrating at once")
    return bool(value)


def refuse_without_lock(version: str) -> None:
    """Refuse a server whose locks do not hold, although it may say that they do.

    Args:
        version: what its version() says.

    Raises:
        CommandError: naming the server and the setting.
    """
    for server, pattern, since in WITHOUT_LOCK:
        found = re.search(pattern, version)
        if found and (since is None or tuple(map(int, found.groups())) < since):
            raise no_lock(server)


def no_lock(server: str) -> CommandError:
    """Return the error of a server that has no lock for migrations."""
    return CommandError(
        f"{server} has no lock that keeps other processes from migrating at the same time; "
        "let only one job migrate, and say so with -x lock=none"
    )
