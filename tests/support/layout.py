"""The house of a generated project: which files it has, and what the template's commands are.

Nothing else in the tests knows where the template's own modules are, or how to call them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from support.releases import template_files
from support.variants import FEATURES, Variant

# The template's package, and the kinds of databases that some of its files are for.
KIT = "template/{{ migrations_path }}/migration_kit/"
ROOMS = {*FEATURES["all"], "tenants", "databases", "adopted"}
KINDS = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mysql"}
KINDS |= {"mariadb": "mysql"}


def always(variant: Variant) -> bool:
    """Return whether a module that nothing is said of is in a project: in each."""
    return bool(variant)


# The modules that not every project with their room has, and which ones have them.
SOME: dict[str, Callable[[Variant], bool]] = {
    "asynchronous.py": lambda variant: any(
        engine.awaited for engine in variant.engines
    ),
    "catalogs": lambda variant: bool({"autogenerate", "testing"} & variant.rooms),
    "histories.py": lambda variant: bool(variant.rooms),
    "tables.py": lambda variant: bool(variant.rooms),
    "testing/databases.py": lambda variant: "databases" in variant.rooms,
    "testing/leftovers.py": lambda variant: any(
        engine.server for engine in variant.engines
    ),
}

# What a page says of a room, and in no project without it. A link to a room is told apart from
# the command that adds it.
OF_ROOMS = {
    "autogenerate": r"alembic-postgresql-enum|Tables you don't manage|Autogenerate refuses",
    "branches": r"\bHEAD\b(?!\^)|\brebase\b|kit\.module|Several lines",
    "testing": r"\bpytest|test_migrations|_test_|\bfixture|conftest|TEST_DATABASE_URL|The tests",
    "lint": r"sqlglot|squawk|\w lint\b|fetch-depth|GIT_DEPTH|A protected|PROTECTED|lint-accept",
    "renames": r"-x rename|`rename`|New names",
    "squash": r"\bsquash",
    "backfill": r"\b[Bb]ackfill|Many rows",
    "diagram": r"paracelsus|\bdraw\b|schema\.md",
    "online": r"\bonline\b|Busy tables",
    "security": r"Policies and grants|POLICY",
    "ready": r"migrations ready\b|After a rollback",
    "tenants": r"\b[Tt]enant|\brich\b|Indexed",
    "databases": r"migrations all\b|alembic -n",
}

# For code that runs in a project's folder.
IMPORT_ROUNDTRIP = """\
import sys; sys.path.append('migrations')
from migration_kit.testing.roundtrip import roundtrip
from migration_kit.testing import ScratchDatabase
"""

TOUR = ["department.py", "employee.py", "user.py"]
HERO_REVISION = "2026_01_31_1200-4f1c8a2d7b3e_create_heroes.py"
TOUR_REVISIONS = [
    "2026_02_02_0900-8d27b61f0c94_create_departments_and_employees.py",
    "2026_02_09_1430-b90e43d51a7c_let_employees_join_several_departments.py",
    "2026_02_16_1015-e5a6027c9f18_create_users.py",
]


def command(name: str, migrations: str = "migrations") -> str:
    """Return a command of the template as it is typed behind `python`.

    Args:
        name: of the command, with its options: `head`, `rebase`, `draw --check`, `lint`.
        migrations: the folder of env.py.
    """
    if migrations.startswith("src/"):
        module = migrations.removeprefix("src/").replace("/", ".")
        return f"-m {module} {name}"
    return f"{migrations} {name}"


def kit_modules(variant: Variant) -> set[str]:
    """Return the modules of `migration_kit`: the core's, and those of its rooms and databases."""
    if variant.kit == "installed":
        return set()
    kinds = {KINDS[engine.database] for engine in variant.engines}
    if kinds != {"sqlite"}:
        kinds.add("servers")
    modules = set()
    for file in template_files():
        if file.startswith(KIT):
            path = PurePosixPath(file.removeprefix(KIT))
            names = {*path.parts[:-1], path.stem}
            others = names & {*KINDS.values(), "servers"} - kinds
            absent = path.parts[0] in ROOMS - variant.rooms
            some = SOME.get(str(path), SOME.get(path.parts[0], always))
            if not others and not absent and some(variant):
                modules.add(str(path))
    return modules


def migration_layer(variant: Variant) -> set[str]:
    """Return the files that an adopted project gets as well."""
    migrations = variant.migrations
    files = {".copier-answers.yml", "alembic.ini"}
    files |= {f"{migrations}/migration_kit/{name}" for name in kit_modules(variant)}
    files |= {f"{migrations}/env.py", f"{migrations}/__main__.py"}
    files |= {f"{migrations}/script.py.mako"}
    files |= {f"{migrations}/versions/.gitkeep"}
    for name in variant.more_databases:
        own = ("env.py", "script.py.mako", "versions/.gitkeep")
        files |= {f"{migrations}/{name}/{file}" for file in own}
    databases = {engine.database for engine in variant.engines}
    if "testing" in variant.rooms:
        files |= {"tests/test_migrations.py"}
    if "postgresql" in databases and "lint" in variant.rooms:
        files |= {".squawk.toml"}
    if variant.tenants != "none":
        files |= {f"{migrations}/tenants.py"}
    if variant.agents:
        files |= {"AGENTS.md"}
    return files


def expected_tree(variant: Variant) -> set[str]:
    """Return the files that a project has when it is new."""
    package, migrations = variant.package, variant.migrations
    if variant.existing:
        ci = {"github": {".github/workflows/migrations.yml"}}
        ci |= {"gitlab": {".gitlab-ci.yml"}, "none": set()}
        return migration_layer(variant) | ci[variant.ci]
    tree = migration_layer(variant) | {
        ".env.example",
        ".gitignore",
        ".pre-commit-config.yaml",
        "README.md",
        "docs/deployment.md",
        "docs/migrations.md",
        "pyproject.toml",
        f"{package}/py.typed",
    }
    if variant.kit == "copied":
        tree |= {".gitattributes"}
    if "diagram" in variant.rooms:
        tree |= {"docs/schema.md"}
    if "testing" in variant.rooms:
        tree |= {"tests/conftest.py"}
        tree |= {f"tests/{name}_fixtures.py" for name in variant.more_databases}
    for folder in (package, *(f"{package}/{name}" for name in variant.more_databases)):
        tree |= {f"{folder}/__init__.py", f"{folder}/engine.py"}
        tree |= {f"{folder}/models/__init__.py"}
        if variant.base_location == "models":
            tree |= {f"{folder}/models/base.py"}
        else:
            tree |= {f"{folder}/base.py", f"{folder}/database.py"}
    if variant.example != "none":
        tree |= {f"{package}/models/hero.py", f"{migrations}/versions/{HERO_REVISION}"}
        if "branches" in variant.rooms:
            tree |= {f"{migrations}/HEAD"}
    if variant.example == "tour":
        tree |= {f"{package}/models/{name}" for name in TOUR}
        tree |= {f"{migrations}/versions/{name}" for name in TOUR_REVISIONS}
        if "testing" in variant.rooms:
            tree |= {"tests/test_data_migrations.py"}
    if variant.compose:
        tree |= {"compose.yaml"}
    if variant.ci == "github":
        tree |= {".github/workflows/ci.yml"}
    if variant.ci == "gitlab":
        tree |= {".gitlab-ci.yml"}
    return tree
