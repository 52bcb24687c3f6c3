"""Where the migrations are, and how a person calls our commands for them."""

import os
from importlib.util import find_spec
from pathlib import Path

MIGRATIONS = Path(__file__).resolve().parents[1]


def invocation(start: str | Path = os.curdir) -> str:
    """Return how to call our commands, such as `python migrations`.

    Args:
        start: the folder where it is to work; in a package that can be imported, it works anywhere.
    """
    names, folder = [MIGRATIONS.name], MIGRATIONS.parent
    while (folder / "__init__.py").exists():
        names.insert(0, folder.name)
        folder = folder.parent
    if len(names) > 1 and find_spec(names[0]):
        return f"python -m {'.'.join(names)}"
    return f"python {Path(os.path.relpath(MIGRATIONS, start)).as_posix()}"
