"""Models that Alembic cannot see, because nothing imports their module."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from alembic.util import CommandError

from ..paths import migrations

# Most files have no hint, and need no parser. A table is in the spelling of `ast`.
HINT = rb"__tablename__|\.Model\b|table\s*=\s*True|Table\(|olumn\(|\bMapped\b"
TABLE = r"""(?x)
    (?! (?:.*\n)*? (?: class[ ].*\bDeclarative | [ ]{{4}}__abstract__[ :] ) ) (?:
      (?:\w+\.)*Table\('[^']+',[ ](?!')
    | (?:.*\n)*? (?: class[ ].*(?:\.Model|\btable=True)\b | [ ]{{4}}__tablename__.*[ ]=[ ])
    | (?:.*\n)*? class[ ].*[(,. ]\w*(?:Base|Model{})[][,)] (?:.*\n)+? [ ]{{4}}\w+
      (?: :[ ](?:\w+\.)*Mapped\[ | .*[ ]=[ ](?:\w+\.)*(?:mapped_c|C)olumn\() )"""
ASSIGNMENT = (ast.Assign, ast.AnnAssign)


def unloaded_models(packages: Iterable[str], not_migrated: Iterable[str]) -> str:
    """Return a line that names the modules that define tables, but that nothing imports.

    Autogenerate treats their tables as dropped ones, or does not create them. It is empty if
    there are none, and it leaves out those of `not_migrated`, with all below them.

    Raises:
        CommandError: if no module has a name of `not_migrated`.
    """
    modules = dict(module for package in packages for module in modules_of(package))
    unloaded = modules.keys() - sys.modules.keys()
    for other in not_migrated:
        meant = {name for name in modules if f"{name}.".startswith(f"{other}.")}
        if not meant:
            raise CommandError(
                f"{', '.join(packages)} has no module {other!r}. "
                "Correct `not_migrated=` of run() in env.py"
            )
        unloaded -= meant
    bases = "".join(
        f"|{name}"
        for module in modules.keys() & sys.modules.keys()
        for name, value in vars(sys.modules[module]).items()
        if isinstance(value, type) and hasattr(value, "registry")
    )
    table = TABLE.format(bases)
    found = sorted(name for name in unloaded if defines_tables(modules[name], table))
    line = (
        f"not compared, because nothing imports them: {', '.join(found)}. Import them where "
        "env.py imports the metadata, or add them to `not_migrated=` of run()"
    )
    return line if found else ""


def modules_of(package: str) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each module in a package, without its tests and migrations.

    Raises:
        CommandError: if the package is not imported.
    """
    module = sys.modules.get(package)
    if module is None:
        raise CommandError(
            f"nothing imports {package!r}. Correct `package=` of run() in env.py"
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


def defines_tables(path: Path, table: str) -> bool:
    """Return whether a module looks as if it defines a table, and is no revision."""
    source = path.read_bytes()
    if not re.search(HINT, source) or b"down_revision" in source:
        return False
    with suppress(SyntaxError):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef):  # without methods and docstrings
                node.body = [one for one in node.body if isinstance(one, ASSIGNMENT)]
            kinds = (ast.ClassDef, ast.Call)
            if isinstance(node, kinds) and re.match(table, ast.unparse(node)):
                return True
    return False
