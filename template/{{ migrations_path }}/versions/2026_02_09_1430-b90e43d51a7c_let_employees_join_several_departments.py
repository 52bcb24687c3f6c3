"""let employees join several departments

A table that links both replaces the column with an employee's one department. The rows
move with it, up and down.

Revision ID: b90e43d51a7c
Revises: 8d27b61f0c94
Create Date: 2026-02-09 14:30:00+00:00
"""

# lint-accept: drop-column employees.department_id
# No release has used the column yet.

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "b90e43d51a7c"
down_revision: str | Sequence[str] | None = "8d27b61f0c94"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# The tables as they are at this revision; the models keep changing.
employees = sa.table("employees", sa.column("id"), sa.column("department_id"))
links = sa.table(
    "department_employees", sa.column("department_id"), sa.column("employee_id")
)


def upgrade() -> None:
    op.create_table(
        "department_employees",
        sa.Column("department_id", sa.Integer(), nullable=False),
        sa.Column("employee_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["department_id"],
            ["departments.id"],
            name=op.f("fk_department_employees_department_id_departments"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["employee_id"],
            ["employees.id"],
            name=op.f("fk_department_employees_employee_id_employees"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "department_id", "employee_id", name=op.f("pk_department_employees")
        ),
    )
    op.create_index(
        op.f("ix_department_employees_employee_id"),
        "department_employees",
        ["employee_id"],
    )
    op.execute(
        sa.insert(links).from_select(
            ["department_id", "employee_id"],
            sa.select(employees.c.department_id, employees.c.id).where(
                employees.c.department_id.is_not(None)
            ),
        )
    )
    with op.batch_alter_table("employees") as batch:
        batch.drop_constraint(
            op.f("fk_employees_department_id_departments"), type_="foreignkey"
        )
        batch.drop_index(op.f("ix_employees_department_id"))
        batch.drop_column("department_id")


def downgrade() -> None:
    refuse_several_departments()
    with op.batch_alter_table("employees") as batch:
        batch.add_column(sa.Column("department_id", sa.Integer(), nullable=True))
        batch.create_index(op.f("ix_employees_department_id"), ["department_id"])
        batch.create_foreign_key(
            op.f("fk_employees_department_id_departments"),
            "departments",
            ["department_id"],
            ["id"],
        )
    op.execute(
        sa.update(employees).values(
            department_id=sa.select(links.c.department_id)
            .where(links.c.employee_id == employees.c.id)
            .scalar_subquery()
        )
    )
    op.drop_table("department_employees")


def refuse_several_departments() -> None:
    """Raise RuntimeError before rows would be lost: the old column holds one department."""
    if op.get_context().as_sql:
        return
    several = op.get_bind().scalar(
        sa.select(links.c.employee_id)
        .group_by(links.c.employee_id)
        .having(sa.func.count() > 1)
        .limit(1)
    )
    if several is not None:
        raise RuntimeError(
            f"employee {several} is in several departments, but the column holds one. Delete "
            "the other rows of department_employees, then downgrade again"
        )
