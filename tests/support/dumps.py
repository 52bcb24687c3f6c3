"""What is in a database, in the words of its own tools: nothing of the kit, nothing of SQLAlchemy.

PostgreSQL is asked through `pg_dump`, MariaDB through SHOW CREATE, and SQLite through its pragmas
and the statements that it keeps. The order of columns, of keys and of objects does not count, nor
do the names that a database chooses.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine

# What belongs to Alembic, to the kit or to SQLite.
OWN = re.compile(r"(alembic|sqlite)_")


def dump(engine: Engine) -> list[str]:
    """Return what is in a database: texts, sorted."""
    name = engine.dialect.name
    if name == "postgresql":
        return sorted(statements(dump_text(engine.url)))
    with engine.connect() as connection:
        return sorted(LISTS[name](connection))


def unlike(wanted: list[str], found: list[str]) -> str:
    """Say where two dumps differ."""
    missing, extra = Counter(wanted), Counter(found)
    lines = [f"- {one}" for one in (missing - extra).elements()]
    lines += [f"+ {one}" for one in (extra - missing).elements()]
    return "\n".join(lines)[:3000]


# ------------------------------------------------------------------------------------ PostgreSQL


def pg_dump() -> str:
    """Return the path of the newest pg_dump."""
    found = shutil.which("pg_dump") or ""
    others = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))
    return str(others[-1]) if others else found


def dump_text(url: URL) -> str:
    """Return the schema of a database as SQL."""
    program = pg_dump()
    if not program:
        raise RuntimeError("pg_dump is not there: install PostgreSQL's client")
    address = url.set(drivername="postgresql").render_as_string(False)
    options = ["--schema-only", "--no-owner", "--no-privileges", "--no-tablespaces"]
    options += ["--exclude-schema=extensions", "--exclude-table=*.alembic_*"]
    return subprocess.run(
        [program, *options, f"--dbname={address}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


# Names that PostgreSQL chooses, with the numbers that make them different.
NUMBERED = re.compile(r"_(check|key|excl|fkey|idx)\d+\b")
# An IN list of a VARCHAR has its casts elsewhere once its own text was read again.
ELEMENT = re.compile(r"\(('(?:[^']|'')*'::character varying)\)::text")
ARRAY = re.compile(r"\((ARRAY\[[^\]]*\])\)::text\[\]")


def statements(text: str) -> Iterator[str]:
    """Yield the statements of a dump; the lines of a table are sorted."""
    text = re.sub(
        r"(?m)^(--.*|\\.*|SET .*|SELECT pg_catalog\.set_config.*)\n", "", text
    )
    for statement in re.split(r";\n\n+", text):
        statement = NUMBERED.sub(r"_\1", statement.strip())
        statement = ARRAY.sub(r"\1", ELEMENT.sub(r"\1", statement))
        if not statement:
            continue
        if statement.startswith(("CREATE TABLE", "CREATE UNLOGGED TABLE")):
            first, *lines, last = statement.split("\n")
            lines = sorted(line.strip().rstrip(",") for line in lines)
            statement = "\n".join([first, *lines, last])
        yield statement


# --------------------------------------------------------------------------------------- MariaDB


def mariadb(connection: Connection) -> Iterator[str]:
    """Yield the statements of tables, views and sequences."""
    rows = connection.exec_driver_sql("SHOW FULL TABLES").all()
    for name, kind in rows:
        if OWN.match(name):
            continue
        quoted = "`" + name.replace("`", "``").replace("%", "%%") + "`"
        if kind == "VIEW":
            yield connection.exec_driver_sql(f"SHOW CREATE VIEW {quoted}").all()[0][1]
            continue
        what = "SEQUENCE" if kind == "SEQUENCE" else "TABLE"
        query = f"SHOW CREATE {what} {quoted}"
        text = connection.exec_driver_sql(query).all()[0][1]
        if kind == "SEQUENCE":
            yield text
            continue
        text = re.sub(r" AUTO_INCREMENT=\d+", "", text)
        text = re.sub(r"CONSTRAINT `(CONSTRAINT_\d+|\w+_ibfk_\d+)`", "CONSTRAINT", text)
        first, *lines = text.split("\n")
        end = next(number for number, line in enumerate(lines) if line.startswith(")"))
        inner = sorted(
            nameless_keys([line.strip().rstrip(",") for line in lines[:end]])
        )
        yield "\n".join([first, *inner, *lines[end:]])


def nameless_keys(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a table: its keys for foreign keys, which may come of themselves, without names."""
    named = {
        match[1]
        for line in lines
        if (match := re.search(r"FOREIGN KEY (\(.*?\)) REF", line))
    }
    for line in lines:
        found = re.fullmatch(r"KEY `(?:[^`]|``)+` (\(.*\))", line)
        if found and found[1] in named:
            line = f"KEY {found[1]}"
        # Both are what happens without a word.
        yield re.sub(r" ON (DELETE|UPDATE) (NO ACTION|RESTRICT)", "", line)


# ---------------------------------------------------------------------------------------- SQLite


def sqlite(connection: Connection) -> Iterator[str]:
    """Yield what pragmas tell of tables and indexes, and the parts of their statements."""
    rows = connection.exec_driver_sql(
        "SELECT type, name, tbl_name, sql FROM sqlite_master"
    ).all()
    for kind, name, table, text in rows:
        if OWN.match(table) or OWN.match(name):
            continue
        if kind != "table":
            yield f"{kind} {name} of {table}: {plain(text)}"
            continue
        for pragma in ("table_xinfo", "foreign_key_list", "index_list"):
            for row in asked(connection, pragma, name):
                if pragma == "table_xinfo":
                    # The number of a column is left out; the expression of a default is not.
                    yield f"{name}: column {row[1:]}"
                elif pragma == "foreign_key_list":
                    yield f"{name}: foreign key {row[1:]}"
                elif row[3] != "c":
                    # The number of an index of a constraint depends on the order.
                    parts = [
                        part[2:] for part in asked(connection, "index_xinfo", row[1])
                    ]
                    yield f"{name}: {row[2:]} {parts}"
                else:
                    parts = [
                        part[2:] for part in asked(connection, "index_xinfo", row[1])
                    ]
                    yield f"{name}: index {row[1:]} {parts}"
        inner, _, options = body(text)
        yield f"{name}: options {plain(options)}"
        for item in split(inner):
            # The pragma tells of defaults, and of a key without a name or options.
            found = clauses(item)
            if not re.fullmatch(r" \| PRIMARY KEY \([^()]*\)", " | ".join(found)):
                kept = [
                    one
                    for one in found
                    if one != "PRIMARY KEY" and not one.startswith("DEFAULT ")
                ]
                yield f"{name}: {' | '.join(kept)}"


def asked(connection: Connection, pragma: str, name: str) -> list[tuple[Any, ...]]:
    """Return what a pragma tells."""
    rows = connection.exec_driver_sql(f"SELECT * FROM pragma_{pragma}(?)", (name,))
    return [tuple(row) for row in rows]


TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] | \w+ | \s+ | .""",
    re.VERBOSE | re.DOTALL,
)


def tokens(text: str) -> list[str]:
    """Return the tokens of SQL without spaces; a plain name has no quotes."""
    found = []
    for token in TOKEN.findall(text):
        if token[0] in '"`[' and re.fullmatch(r"[a-z_]\w*", token[1:-1]):
            token = token[1:-1]
        if not token.isspace():
            found.append(token)
    return found


def plain(text: str) -> str:
    """Return SQL with its spaces and quotes evened out."""
    return " ".join(tokens(text))


def body(text: str) -> tuple[str, str, str]:
    """Return what a CREATE TABLE has in its brackets, and what stands behind them."""
    depth, inner, behind, seen = 0, "", "", False
    for token in TOKEN.findall(text):
        depth -= token == ")"
        if seen and not depth and token != ")":
            behind += token
        elif depth:
            inner, seen = inner + token, True
        depth += token == "("
    return inner, "", behind


def split(text: str) -> list[str]:
    """Split a text at the commas that are in no brackets."""
    parts, depth = [""], 0
    for token in TOKEN.findall(text):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if token == "," and not depth:
            parts.append("")
        else:
            parts[-1] += token
    return parts


# Each begins a clause of a column.
CLAUSES = {
    "NOT",
    "DEFAULT",
    "COLLATE",
    "GENERATED",
    "CHECK",
    "UNIQUE",
    "REFERENCES",
    "PRIMARY",
}


def clauses(item: str) -> list[str]:
    """Return the parts of a column or constraint; those of a column are sorted."""
    found, depth = [""], 0
    item = re.sub(r"(?i) ON (DELETE|UPDATE) NO ACTION", "", item)  # as without it
    for token in tokens(item):
        if token.upper() in CLAUSES and not depth:
            found.append("")
        depth += {"(": 1, ")": -1}.get(token, 0)
        found[-1] = f"{found[-1]} {token}".strip()
    return [found[0], *sorted(found[1:])]


LISTS = {"mariadb": mariadb, "mysql": mariadb, "sqlite": sqlite}
