"""The house of a generated project: which files it has, and what the template's commands are.

Nothing else in the tests knows where the template's own modules are, or how to call them.
"""

from __future__ import annotations

from support.variants import Variant

# The template's package beside env.py, in every project.
KIT = [
    "__init__.py",
    "__main__.py",
    "autogenerate.py",
    "backfill/__init__.py",
    "backfill/batches.py",
    "backfill/command.py",
    "backfill/keyset.py",
    "backfill/records.py",
    "changes/__init__.py",
    "changes/narrowing.py",
    "changes/raw_sql.py",
    "changes/reading.py",
    "changes/usage.py",
    "clusters.py",
    "command.py",
    "compare.py",
    "connect.py",
    "databases.py",
    "environment.py",
    "errors.py",
    "foreign_keys.py",
    "galera.py",
    "head.py",
    "history.py",
    "leftovers.py",
    "lint.py",
    "lock.py",
    "models.py",
    "mysql_copy.py",
    "options.py",
    "order.py",
    "ownership.py",
    "paths.py",
    "pooler.py",
    "protect.py",
    "recorded.py",
    "renames/__init__.py",
    "renames/key_names.py",
    "renames/new_names.py",
    "render.py",
    "replaced.py",
    "retry.py",
    "roundtrip.py",
    "settings.py",
    "squash/__init__.py",
    "squash/definitions.py",
    "squash/rebuild.py",
    "testing.py",
]
DRAWING = "migration_kit/draw.py"  # not in an adopted project
TENANTS = [
    "migration_kit/fleet.py",
    "migration_kit/tenant.py",
    "migration_kit/tenant_commands.py",
    "migration_kit/workers.py",
    "tenants.py",
]
POSTGRESQL = ["migration_kit/enums.py", "migration_kit/squawk.py"]

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


def migration_layer(variant: Variant) -> set[str]:
    """Return the files that an adopted project gets as well."""
    migrations = variant.migrations
    files = {".copier-answers.yml", "alembic.ini", "tests/test_migrations.py"}
    files |= {f"{migrations}/migration_kit/{module}" for module in KIT}
    files |= {f"{migrations}/env.py", f"{migrations}/__main__.py"}
    files |= {f"{migrations}/script.py.mako"}
    files |= {f"{migrations}/versions/.gitkeep"}
    for name in variant.more_databases:
        own = ("env.py", "script.py.mako", "versions/.gitkeep")
        files |= {f"{migrations}/{name}/{file}" for file in own}
    databases = {engine.database for engine in (variant.engine, *variant.more)}
    if "postgresql" in databases:
        files |= {".squawk.toml", *(f"{migrations}/{name}" for name in POSTGRESQL)}
    if variant.tenants != "none":
        files |= {f"{migrations}/{name}" for name in TENANTS}
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
        "docs/schema.md",
        "pyproject.toml",
        "tests/conftest.py",
        f"{migrations}/{DRAWING}",
        f"{package}/py.typed",
        *(f"tests/{name}_fixtures.py" for name in variant.more_databases),
    }
    for folder in (package, *(f"{package}/{name}" for name in variant.more_databases)):
        tree |= {f"{folder}/__init__.py", f"{folder}/engine.py"}
        tree |= {f"{folder}/models/__init__.py"}
        if variant.base_location == "models":
            tree |= {f"{folder}/models/base.py"}
        else:
            tree |= {f"{folder}/base.py", f"{folder}/database.py"}
    if variant.example != "none":
        tree |= {f"{package}/models/hero.py", f"{migrations}/versions/{HERO_REVISION}"}
        tree |= {f"{migrations}/HEAD"}
    if variant.example == "tour":
        tree |= {f"{package}/models/{name}" for name in TOUR}
        tree |= {f"{migrations}/versions/{name}" for name in TOUR_REVISIONS}
        tree |= {"tests/test_data_migrations.py"}
    if variant.compose:
        tree |= {"compose.yaml"}
    if variant.ci == "github":
        tree |= {".github/workflows/ci.yml"}
    if variant.ci == "gitlab":
        tree |= {".gitlab-ci.yml"}
    return tree
