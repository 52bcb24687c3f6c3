"""Runs these migrations safely. The template owns this folder: `copier update` replaces it.

`rooms.py` names the folders that each bring a feature; delete one, and the rest keeps working.
`sqlite.py`, `postgresql/` and `mysql/` are what a run needs of a kind of database. All other
modules are the core, of which `environment.run` is the entrance.
"""

from .environment import metadata_of, run
from .errors import one_line

__all__ = ["metadata_of", "one_line", "run"]
