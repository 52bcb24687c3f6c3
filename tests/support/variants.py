"""The one table of variants: pytest's parameters and CI's matrix both come from here.

``python tests/support/variants.py`` prints the matrix of engines as JSON, for GitHub Actions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

from allpairspy import AllPairs

BASE_LOCATIONS = ["models", "module"]  # `existing` has rows of its own below
EXAMPLES = ["none", "hero", "tour"]
CIS = ["github", "gitlab", "none"]
MORE = ["analytics", "billing", "archive_of_year"]  # the last one as long as may be

# The answers to `features` that are tried, by a name: each one alone, with what it needs.
FEATURES: dict[str, tuple[str, ...]] = {
    "no-feature": (),
    "default": ("autogenerate", "branches", "testing"),
    "autogenerate": ("autogenerate",),
    "branches": ("branches",),
    "testing": ("testing",),
    "lint": ("lint",),
    "renames": ("autogenerate", "renames"),
    "squash": ("autogenerate", "testing", "squash"),
    "backfill": ("backfill",),
    "diagram": ("diagram",),
    "online": ("autogenerate", "online"),
    "security": ("autogenerate", "security"),
    "ready": ("ready",),
    "all": (
        "autogenerate",
        "branches",
        "testing",
        "lint",
        "renames",
        "squash",
        "backfill",
        "diagram",
        "online",
        "security",
        "ready",
    ),
}
# Those that releases had before 3.2.
OLDER = tuple(
    name for name in FEATURES["all"] if name not in {"online", "security", "ready"}
)


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

    @property
    def awaited(self) -> bool:
        """Whether the application awaits its driver."""
        return self.async_engine


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
    """One valid combination of the answers that change which files and lines are generated.

    It has all features unless a test is about others, so that any test may use them.
    """

    engine: Engine = ENGINES[0]
    base_location: str = "models"
    migrations_in_package: bool = False
    example: str = "hero"
    compose: bool = False
    ci: str = "github"
    more: tuple[Engine, ...] = ()
    tenants: str = "none"
    features: tuple[str, ...] = FEATURES["all"]
    kit: str = "copied"
    agents: bool = False

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
                *map(str, self.more),
                *([self.tenants] if self.tenants != "none" else []),
                *(
                    name
                    for name in FEATURES
                    if FEATURES[name] == self.features != FEATURES["all"]
                ),
                *([self.kit] if self.kit != "copied" else []),
                *(["agents"] if self.agents else []),
            ]
        )

    @cached_property
    def answers(self) -> dict[str, Any]:
        """The answers to the questions that Copier asks for this variant."""
        answers = asdict(self)
        answers |= answers.pop("engine")
        del answers["more"]
        answers["features"] = list(self.features)
        if self.more:
            answers["more_databases"] = self.more_databases
        if not (self.engine.server and self.engine.async_engine):
            del answers["driver"]  # only one fits
        if not any(engine.server for engine in (self.engine, *self.more)):
            del answers["compose"]
        if self.existing:
            for question in ("migrations_in_package", "example", "compose"):
                answers.pop(question, None)
            if self.more:
                imports = {name: f"my_app.{name}:Base" for name in self.more_databases}
                answers["more_base_imports"] = imports
            return answers | {"base_import": "my_app.models:Base"}
        return answers | {"project_name": "My App"}

    @property
    def more_databases(self) -> dict[str, str]:
        """The further databases: their URLs by name."""
        return {
            name: f"{engine.database}+{engine.driver}://"
            + (f"{name}:x@localhost/{name}" if engine.server else f"/{name}.db")
            for name, engine in zip(MORE, self.more, strict=False)
        }

    @property
    def engines(self) -> tuple[Engine, ...]:
        """Those of all databases."""
        return (self.engine, *self.more)

    @property
    def existing(self) -> bool:
        """Whether a project that exists already gets the migration layer only."""
        return self.base_location == "existing"

    @property
    def rooms(self) -> set[str]:
        """The rooms of the kit: the features, and what other answers bring."""
        brought = {
            "tenants": self.tenants != "none",
            "databases": bool(self.more),
            "adopted": self.existing,
        }
        return {*self.features, *(room for room in brought if brought[room])}

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


# The answers by the name of their question, each with its possible values.
COLUMNS: dict[str, list[Any]] = {
    "engine": ENGINES,
    "base_location": BASE_LOCATIONS,
    "migrations_in_package": [False, True],
    "example": EXAMPLES,
    "compose": [False, True],
    "ci": CIS,
    "agents": [False, True],
}


def is_valid(row: Mapping[str, Any]) -> bool:
    """Tell whether a row can be given, be it complete or not: no compose.yaml for SQLite."""
    return not row.get("compose") or row["engine"].server


def pairwise(columns: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Return valid rows in which each two values of two columns meet at least once."""
    names = list(columns)

    def filter_func(values: list[Any]) -> bool:
        return is_valid(dict(zip(names, values, strict=False)))

    rows = AllPairs(list(columns.values()), filter_func=filter_func)
    return [dict(zip(names, values, strict=True)) for values in rows]


def every(columns: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Return all valid rows."""
    rows = (dict(zip(columns, row, strict=True)) for row in product(*columns.values()))
    return [row for row in rows if is_valid(row)]


ENGINE_OF = {str(engine): engine for engine in ENGINES}

# Each driver, sync and async, and each dialect: MySQL's async drivers are MariaDB's as well, and
# meet the same server here.
DIFFERENT = [
    engine
    for engine in ENGINES
    if engine.database != "mysql" or not engine.async_engine
]
ONE_OF_EACH = [
    ENGINE_OF["sqlite-aiosqlite-async"],
    ENGINE_OF["postgresql-psycopg-sync"],
    ENGINE_OF["mariadb-pymysql-sync"],
]
POSTGRESQL = ENGINE_OF["postgresql-psycopg-sync"]

# Which features there are changes what is there for a kind of database, whatever its driver.
FEATURES_AND_KINDS: dict[str, list[Any]] = {
    "features": list(FEATURES.values()),
    "engine": ONE_OF_EACH,
}

# What an existing project gets depends on its engine, its features, its rules and CI alone.
EXISTING = [
    Variant(base_location="existing", example="none", **row)
    for row in (
        *pairwise({"engine": ENGINES, "ci": CIS}),
        *pairwise(FEATURES_AND_KINDS | {"ci": CIS, "agents": COLUMNS["agents"]}),
    )
]


# Several databases, each pair of kinds and of drivers' kinds somewhere.
SEVERAL = [
    Variant(
        ENGINE_OF["postgresql-psycopg-sync"],
        compose=True,
        more=(ENGINE_OF["sqlite-aiosqlite-async"], ENGINE_OF["mariadb-pymysql-sync"]),
        agents=True,
    ),
    Variant(
        ENGINE_OF["sqlite-pysqlite-sync"],
        "module",
        migrations_in_package=True,
        example="tour",
        ci="gitlab",
        more=(
            ENGINE_OF["sqlite-pysqlite-sync"],
            ENGINE_OF["postgresql-asyncpg-async"],
            ENGINE_OF["postgresql-psycopg-sync"],
        ),
    ),
    Variant(
        ENGINE_OF["mysql-aiomysql-async"],
        "module",
        example="none",
        compose=True,
        ci="none",
        more=(ENGINE_OF["mysql-pymysql-sync"], ENGINE_OF["postgresql-psycopg-async"]),
    ),
    Variant(
        ENGINE_OF["sqlite-pysqlite-sync"],
        "existing",
        example="none",
        more=(ENGINE_OF["mariadb-asyncmy-async"],),
    ),
]

# Tenants bring the same files and lines whatever the other answers are.
TENANTS = [
    Variant(ENGINE_OF["postgresql-psycopg-sync"], tenants="schema", agents=True),
    Variant(
        ENGINE_OF["mariadb-asyncmy-async"],
        "module",
        migrations_in_package=True,
        example="none",
        ci="none",
        tenants="database",
    ),
    Variant(
        ENGINE_OF["sqlite-pysqlite-sync"],
        "existing",
        example="none",
        tenants="database",
    ),
]

PAIRWISE = [Variant(**row) for row in pairwise(COLUMNS)]

# Each feature alone, none, the default, and all of them, on each kind of database.
ROOMS = [Variant(**row) for row in pairwise(COLUMNS | FEATURES_AND_KINDS)]

# Installed, the kit leaves the same bytes out, whatever the other answers are.
INSTALLED = [
    Variant(kit="installed", features=FEATURES["default"]),
    Variant(POSTGRESQL, "module", True, "tour", ci="gitlab", kit="installed"),
    Variant(
        ENGINE_OF["mariadb-pymysql-sync"], "existing", example="none", kit="installed"
    ),
    replace(SEVERAL[2], kit="installed", features=()),
    replace(TENANTS[1], kit="installed", features=FEATURES["lint"]),
]

ALL = [
    *dict.fromkeys([*PAIRWISE, *ROOMS, *EXISTING, *SEVERAL, *TENANTS, *INSTALLED]),
]

# What changes how a project migrates; compose.yaml, CI and rules do not, nor whether the application
# awaits its driver. Each driver meets each example, with and without rooms.
DRIVERS = {(e.database, e.driver): e for e in ENGINES}
MIGRATING = {
    name: COLUMNS[name] for name in COLUMNS if name not in {"compose", "ci", "agents"}
}
MIGRATING |= {"engine": list(DRIVERS.values())}
MIGRATING |= {"features": [FEATURES[name] for name in ("no-feature", "default", "all")]}
SHAPES = [Variant(**row) for row in pairwise(MIGRATING)]


if __name__ == "__main__":
    print(json.dumps([str(engine) for engine in ENGINES]))
