"""Rows survive a migration: insert them at one revision, find them at the next."""

from pathlib import Path

import sqlalchemy as sa
from migration_kit.testing import ScratchDatabase

ROOT = Path(__file__).parents[1]

# The tables as they are at these revisions; the models keep changing.
departments = sa.table("departments", sa.column("id"), sa.column("name"))
employees = sa.table(
    "employees", sa.column("id"), sa.column("name"), sa.column("department_id")
)
links = sa.table(
    "department_employees", sa.column("department_id"), sa.column("employee_id")
)


def test_employees_keep_their_department() -> None:
    with ScratchDatabase(ROOT / "alembic.ini").create() as database:
        database.upgrade("8d27b61f0c94")
        database.execute(sa.insert(departments), [{"id": 1, "name": "Sales"}])
        database.execute(
            sa.insert(employees),
            [
                {"id": 1, "name": "Ada", "department_id": 1},
                {"id": 2, "name": "Grace", "department_id": None},
            ],
        )

        database.upgrade("b90e43d51a7c")
        assert database.execute(sa.select(links)) == [(1, 1)]

        database.downgrade("8d27b61f0c94")
        rows = database.execute(
            sa.select(employees.c.id, employees.c.department_id).order_by("id")
        )
        assert rows == [(1, 1), (2, None)]
