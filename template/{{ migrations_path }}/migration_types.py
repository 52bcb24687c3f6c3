"""Column types of the project and its libraries, in revisions."""

from typing import Any, Literal

from alembic.autogenerate.api import AutogenContext


def import_type(kind: str, item: Any, context: AutogenContext) -> Literal[False]:
    """Make a revision import the module of a type that SQLAlchemy does not have.

    Alembic writes the type with its module and leaves the import to the reader.
    """
    module = type(item).__module__
    if kind == "type" and not module.startswith("sqlalchemy."):
        context.imports.add(f"import {module}")
    return False
