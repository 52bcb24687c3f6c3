"""Models that Alembic cannot see, because nothing imports their module."""

import logging
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from alembic.util import CommandError

from ..paths import migrations

log = logging.getLogger(f"alembic.{__name__}")

# A table of SQLAlchemy, Flask-SQLAlchemy or SQLModel; most files have no hint, which is fast.
HINT = re.compile(rb"__tablename__\s*[:=]|\.Model\b|table\s*=\s*True|Table\(\s*[\"']")
TABLE = re.compile(
    rb"""
    ^[ \t]+ __tablename__ [ \t]* [:=]
    | ^[ \t]* class [^(\n]* \( [^)]* (?: \.Model\b | \btable[ ]*=[ ]*True ) [^)]* \) [ ]* :
      (?! (?: \n (?: [ \t] [^\n]* )? )*? \n [ \t]+ __abstract__\b )
    | ^[^#\n]* \bTable\( \s* ["'] [^"'\n]+ ["'] \s* ,
    """,
    re.MULTILINE | re.VERBOSE,
)


def warn_of_unloaded_models(
    packages: Iterable[str], not_migrated: Iterable[str]
) -> None:
    """Name the modules of packages that define tables but are not imported.

    Autogenerate takes their tables for dropped ones, or does not create them.
    """
    if unloaded := unloaded_modules(packages, not_migrated):
        log.warning(
            "tables of modules that nothing imports are not compared; import them where the "
            "metadata is imported from, or name them in `not_migrated=` of run() in env.py: %s",
            ", ".join(sorted(unloaded)),
        )


def unloaded_modules(
    packages: Iterable[str], not_migrated: Iterable[str] = ()
) -> set[str]:
    """Return the names of the modules that define tables, but that nothing imports.

    Args:
        packages: names of those to look through.
        not_migrated: names of modules to leave out, with all below them.

    Raises:
        CommandError: if no module has a name of `not_migrated`.
    """
    modules = dict(module for package in packages for module in modules_of(package))
    unloaded = {name for name in modules if name not in sys.modules}
    for other in not_migrated:
        meant = {name for name in modules if f"{name}.".startswith(f"{other}.")}
        if not meant:
            raise CommandError(
                f"{', '.join(packages)} has no module {other!r}; "
                "correct `not_migrated=` of run() in env.py"
            )
        unloaded -= meant
    return {name for name in unloaded if defines_tables(modules[name])}


def modules_of(package: str) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each module in a package, without its tests and migrations.

    Raises:
        CommandError: if the package is not imported.
    """
    module = sys.modules.get(package)
    if module is None:
        raise CommandError(
            f"nothing imports {package!r}; correct `package=` of run() in env.py"
        )
    if not hasattr(module, "__path__"):  # plain modules, side by side
        for path in Path(module.__file__ or "").parent.glob("*.py"):
            yield path.stem, path
        return
    own = migrations()
    for folder in (Path(one).resolve() for one in module.__path__):
        for path in folder.rglob("*.py"):
            names = path.relative_to(folder).with_suffix("").parts
            no_model = own in path.parents or {"test", "tests"} & {*names[:-1]}
            if not no_model and all(map(str.isidentifier, names)):
                names = names[:-1] if names[-1] == "__init__" else names
                yield ".".join([package, *names]), path


def defines_tables(path: Path) -> bool:
    """Return whether a module looks as if it defines a table, and is no revision."""
    source = path.read_bytes()
    found = HINT.search(source) and TABLE.search(source)
    return bool(found) and b"down_revision" not in source
