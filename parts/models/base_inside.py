"""Base with every model loaded: each module of this folder is imported here."""

from importlib import import_module
from pkgutil import walk_packages

from {{ db.base_module }} import Base

__all__ = ["Base"]

# A model's table is known to Base.metadata, and so to Alembic, once its module is imported.
for module in walk_packages(__path__, prefix=f"{__name__}."):
    import_module(module.name)
