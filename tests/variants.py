"""The one table of variants: pytest's parameters and CI's matrix both come from here.

``python tests/variants.py`` prints the matrix of engines as JSON, for GitHub Actions.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from typing import Any

from allpairspy import AllPairs

BASE_LOCATIONS = ["models", "module"]  # `existing` has rows of its own below
EXAMPLES = ["none", "hero", "tour"]
CIS = ["github", "gitlab", "none"]


@dataclass(frozen=True)
class Engine:
    """A database and the driver that the application reaches it with."""

    database: str
    async_engine: bool
    driver: str

    def __str__(self) -> str:
        return (
            f"{self.database}-{self.driver}-{'async' if self.async_engine else 'sync'}"
        )

    @property
    def server(self) -> bool:
        """Whether the database is a server, and not a file."""
        return self.database != "sqlite"


ENGINES = [
    Engine("sqlite", False, "pysqlite"),
    Engine("sqlite", True, "aiosqlite"),
    Engine("postgresql", False, "psycopg"),
    Engine("postgresql", True, "psycopg"),
    Engine("postgresql", True, "asyncpg"),
    Engine("mysql", False, "pymysql"),
    Engine("mysql", True, "asyncmy"),
    Engine("mysql", True, "aiomysql"),
    Engine("mariadb", False, "pymysql"),
    Engine("mariadb", True, "asyncmy"),
    Engine("mariadb", True, "aiomysql"),
]


@dataclass(frozen=True)
class Variant:
    """One valid combination of the answers that change which files and lines are generated."""

    engine: Engine = ENGINES[0]
    base_location: str = "models"
    migrations_in_package: bool = False
    example: str = "hero"
    compose: bool = False
    ci: str = "github"

    def __str__(self) -> str:
        place = "package" if self.migrations_in_package else "root"
        compose = "compose" if self.compose else "bare"
        return "-".join(
            [
                str(self.engine),
                self.base_location,
                place,
                self.example,
                compose,
                self.ci,
            ]
        )

    @cached_property
    def answers(self) -> dict[str, Any]:
        """The answers to the questions that Copier asks for this variant."""
        answers = asdict(self)
        answers |= answers.pop("engine")
        if not (self.engine.server and self.engine.async_engine):
            del answers["driver"]  # only one fits
        if not self.engine.server:
            del answers["compose"]
        if self.existing:
            for question in ("migrations_in_package", "example", "compose"):
                answers.pop(question, None)
            answers["base_import"] = "my_app.models:Base"
        return answers

    @property
    def existing(self) -> bool:
        """Whether a project that exists already gets the migration layer only."""
        return self.base_location == "existing"

    @property
    def package(self) -> str:
        """The default package's folder."""
        return "src/my_app"

    @property
    def migrations(self) -> str:
        """The folder of env.py, relative to the project."""
        return (
            f"{self.package}/migrations" if self.migrations_in_package else "migrations"
        )

    @property
    def metadata_module(self) -> str:
        """The module from which Alembic imports Base."""
        return "my_app.database" if self.base_location == "module" else "my_app.models"


def is_valid(row: list[Any]) -> bool:
    """Tell whether a (possibly partial) row of answers can be given: no compose.yaml for SQLite.

    Args:
        row: values of `Variant`'s fields in their order; may be shorter.

    Returns:
        False where the row asks for a compose.yaml without a server database.
    """
    return len(row) < 5 or row[0].server or not row[4]


COLUMNS: list[list[Any]] = [
    ENGINES,
    BASE_LOCATIONS,
    [False, True],
    EXAMPLES,
    [False, True],
    CIS,
]

# What an existing project gets depends on its engine and CI alone.
EXISTING = [
    Variant(engine, "existing", example="none", ci=ci)
    for engine, ci in AllPairs([ENGINES, CIS])
]

ALL = [Variant(*row) for row in product(*COLUMNS) if is_valid(list(row))] + EXISTING

# What changes how a project migrates; compose.yaml and CI do not.
SHAPES = [Variant(*row) for row in product(*COLUMNS[:4])]

PAIRWISE = [Variant(*row) for row in AllPairs(COLUMNS, filter_func=is_valid)]


if __name__ == "__main__":
    print(json.dumps([str(engine) for engine in ENGINES]))
