"""Draw the tables and the history of revisions into docs/schema.md.

GitHub shows the diagrams. paracelsus draws the tables of the metadata that env.py compares with
the database; its settings may be in pyproject.toml, under [tool.paracelsus].
"""

import argparse
import io
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.script import Script
from alembic.util import CommandError, to_tuple
from sqlalchemy import (
    Column,
    Dialect,
    Enum,
    ForeignKey,
    MetaData,
    Table,
    UniqueConstraint,
)
from sqlalchemy.exc import CompileError
from sqlalchemy.types import TypeEngine, UserDefinedType

from ..histories import histories, load_options
from ..paths import invocation
from ..settings import FIRST
from ..tables import make_tables_of_listeners, tables_of

NEWEST = 100  # revisions: GitHub refuses a diagram of more than 500 arrows

# Characters that mean something in a label, as Mermaid writes them.
ESCAPES = str.maketrans(
    {"#": "#35;", "&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;"}
)

# paracelsus draws no schemas: in what it sees, this is the dot between schema and table.
DOT = "\ue000"


class Models:
    """What paracelsus imports from here."""

    metadata = MetaData()


class Shown(UserDefinedType[object]):
    """A type in the words of its database, as one word, which Mermaid needs."""

    def __init__(self, text: str) -> None:
        self.text = re.sub(r"[^\w()[\],]+", "_", text.replace(", ", ",")).strip("_")

    def get_col_spec(self, **_: Any) -> str:
        return self.text


PAGE = """\
# The schema

`{command}` draws this page.
"""

HISTORY = """\
## Tables{database}

{tables}

## Revisions{database}

{revisions}
"""


def add_commands(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add `draw` to the command line."""
    parser = add_parser("draw", help="draw tables and revisions into docs/schema.md")
    parser.add_argument(
        "--check", action="store_true", help="fail if the page is out of date"
    )
    parser.set_defaults(run=lambda config, given: draw(config, given.check))


def draw(config: Config, check: bool = False) -> None:
    """Write docs/schema.md next to alembic.ini, or only compare it.

    Args:
        config: of alembic.ini.
        check: whether to leave the page alone.

    Raises:
        CommandError: if the page to check is not what would be drawn now, or if nothing can be
            drawn.
    """
    root = Path(config.config_file_name or "").resolve().parent
    path = root / "docs" / "schema.md"
    command = f"uv run {invocation(root)} draw"
    page = draw_page(config, root, command)
    if not check:
        path.parent.mkdir(exist_ok=True)
        path.write_text(page, encoding="utf-8", newline="\n")
    elif not path.exists() or path.read_text(encoding="utf-8") != page:
        raise CommandError(
            f"docs/schema.md is out of date. Run `uv run {invocation()} draw`"
        )


def draw_page(config: Config, root: Path, command: str) -> str:
    """Return the page: of each database the tables of the models, and the newest revisions."""
    pages = [PAGE.format(command=command)]
    for one, script in histories(config):
        name = one.config_ini_section
        revisions = reversed(list(script.walk_revisions())[:NEWEST])
        arrows = [arrow for revision in revisions for arrow in draw_revision(revision)]
        pages.append(
            HISTORY.format(
                database="" if name == FIRST else f" of {name}",
                tables=diagram(draw_tables(one, root)),
                revisions=diagram(["flowchart TD", *arrows]),
            )
        )
    return "\n".join(pages)


def draw_tables(config: Config, root: Path) -> list[str]:
    """Return what paracelsus draws of the metadata that env.py gives."""
    options = load_options(config)
    make_tables_of_listeners()
    tables = tables_of(options["target_metadata"]).values()
    Models.metadata = MetaData()
    for table in tables:
        copy(table, Models.metadata, options["dialect"])
    graph = ["graph", f"{__name__}:{Models.__name__}"]
    graph += ["--config", str(root / "pyproject.toml")]
    with redirect_stdout(io.StringIO()) as output:
        import_module("paracelsus.cli").app(graph, standalone_mode=False)
    dotted = re.sub(rf"\w+{DOT}\w+", r'"\g<0>"', output.getvalue())
    return dotted.replace(DOT, ".").splitlines()


def type_shown(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    """Return what paracelsus is to draw; its ENUM has more to say than a VARCHAR."""
    try:
        text = kind.compile(dialect)
    except CompileError:  # of another kind of database
        return kind
    return kind if isinstance(kind, Enum) and "(" in text else Shown(text)


def copy(table: Table, metadata: MetaData, dialect: Dialect) -> None:
    """Copy what paracelsus draws of a table."""
    columns = [
        Column(
            one.name,
            type_shown(one.type, dialect),
            *(
                ForeignKey(re.sub(r"\.(?=.*\.)", DOT, name))
                for name in sorted(key.target_fullname for key in one.foreign_keys)
            ),
            key=one.key,
            primary_key=one.primary_key,
            nullable=one.nullable,
            unique=one.unique,
            index=one.index,
            comment=one.comment,
        )
        for one in table.columns
    ]
    unique = [
        UniqueConstraint(*one.columns.keys())
        for one in table.constraints
        if isinstance(one, UniqueConstraint)
    ]
    Table(table.fullname.replace(".", DOT), metadata, *columns, *unique)


def diagram(lines: list[str]) -> str:
    """Return a Mermaid diagram, or say that there is nothing to draw in it."""
    lines = [line for line in lines if line]
    if len(lines) < 2:
        return "None yet."
    return "\n".join(["```mermaid", *lines, "```"])


def draw_revision(revision: Script) -> list[str]:
    """Return a revision's box, and an arrow from each revision that it follows or depends on."""
    name = f"r{revision.revision}"
    parents = to_tuple(revision.down_revision, default=())
    return [
        f'    {name}["{revision.revision}<br>{revision.doc.translate(ESCAPES)}"]',
        *(f"    r{parent} --> {name}" for parent in parents),
        *(f"    r{other} -.-> {name}" for other in revision._resolved_dependencies),
    ]
