"""What PostgreSQL, MySQL and MariaDB have in common: types that hold less than others."""

from collections.abc import Iterator
from typing import Any

from alembic.operations import ops
from sqlalchemy import types

from .raw_sql import NAMES, DeleteAllOp, of_constraint, pattern, split
from .rules import Rules, family

TRUNCATE = pattern(rf"\bTRUNCATE\s+(?:TABLE\s+)?(?:ONLY\s+)?{NAMES}")

# Bytes of an integer, by the name of its type; digits, by its bytes.
INTEGERS = {"TINYINT": 1, "SMALLINT": 2, "SMALL_INTEGER": 2, "MEDIUMINT": 3}
INTEGERS |= {"BIGINT": 8, "BIG_INTEGER": 8}
DIGITS = {1: 3, 2: 5, 3: 8, 4: 10, 8: 19}
# Characters of other values as text.
CHARACTERS = {"boolean": 5, "uuid": 36, "date": 10, "time": 15, "datetime": 26}


class Server(Rules):
    """A server.

    Attributes:
        refused: the fate of a value that does not fit.
        number: how many digits a number has unless it says so, and those after its point.
    """

    refused = ""
    number = (0, 0)

    def lost(self, old: Any, new: Any, using: str) -> str:
        match family(old), family(new):
            case ("?", _) | (_, "?"):
                return ""
            case "string", "string":
                is_shorter = self.length(new) < self.length(old)
                return f"longer values {self.refused}" if is_shorter else ""
            case "enum", "enum":
                gone = set(old.enums) - set(new.enums)
                return f"{', '.join(sorted(gone))} {self.refused}" if gone else ""
            case "enum", "string":
                longest = max(map(len, old.enums), default=0)
                too_short = self.length(new) < longest
                return f"longer values {self.refused}" if too_short else ""
            case "integer", "integer":
                narrower = size(new) < size(old) or (
                    getattr(new, "unsigned", False)
                    and not getattr(old, "unsigned", False)
                )
                return f"values out of its range {self.refused}" if narrower else ""
            case "number", "number":
                return self.between_numbers(old, new)
            case "integer", "number":
                precision, scale = self.digits(new)
                small = precision - scale < DIGITS[size(old)]
                return f"large values {self.refused}" if small else ""
            case "number", "integer":
                return "digits after the point are rounded"
            case "time", "time":
                return self.between_times(old, new, using)
            case (
                ("boolean", "integer" | "number") | ("json", "json") | ("uuid", "uuid")
            ):
                return ""
            case (_, "string"):
                is_short = self.length(new) < self.characters(old)
                return f"longer values {self.refused}" if is_short else ""
            case "binary", "binary":
                before, after = (one.length or 2**32 for one in (old, new))
                return f"longer values {self.refused}" if after < before else ""
            case "string", "binary":
                return ""
            case before, after if before != after:
                return f"values that cannot be converted {self.refused}"
        return ""

    def length(self, type_: Any) -> int:
        """Return how long a text may be."""
        return type_.length or 2**31

    def characters(self, type_: Any) -> int:
        """Return how many characters a value that is no text may have as text."""
        kind = family(type_)
        if kind == "integer":
            return DIGITS[size(type_)] + 1  # its sign
        if kind == "number" and not isinstance(type_, types.Float):
            return self.digits(type_)[0] + 2  # its sign and point
        kind = kind_of_time(type_) if kind == "time" else kind
        zone = 6 if getattr(type_, "timezone", False) else 0
        return CHARACTERS.get(kind, 19) + zone

    def digits(self, type_: Any) -> tuple[int, int]:
        """Return the digits of a number, and how many of them are after the point."""
        if isinstance(type_, types.Float):
            return 400, 0
        if type_.precision is None:
            return self.number
        return type_.precision, type_.scale or 0

    def between_numbers(self, old: Any, new: Any) -> str:
        """Return what is lost from one number with a fraction to another."""
        if isinstance(new, types.Float) and not isinstance(old, types.Float):
            return "a floating point number is less exact"
        if isinstance(new, types.Float):
            return "" if not is_single(new) or is_single(old) else "digits are lost"
        (precision, scale), (new_precision, new_scale) = map(self.digits, (old, new))
        if isinstance(old, types.Float):
            return "digits after the point are rounded"
        if new_precision - new_scale < precision - scale and new_precision < 100_000:
            return f"large values {self.refused}"
        return "digits after the point are rounded" if new_scale < scale else ""

    def between_times(self, old: Any, new: Any, using: str) -> str:
        """Return what is lost from one date or time to another."""
        before, after = kind_of_time(old), kind_of_time(new)
        if before == after or (before, after) == ("date", "datetime"):
            return ""
        return "part of each value is cut"

    def by_pattern(self, sql: str) -> Iterator[ops.MigrateOperation]:
        for match in TRUNCATE.finditer(sql):
            for name in match[1].split(","):
                yield DeleteAllOp(*split(name.strip()))

    def of_action(
        self, action: Any, table: str, schema: str | None
    ) -> Iterator[ops.MigrateOperation]:
        if type(action).__name__ == "AddConstraint":
            for constraint in action.expressions:
                yield from of_constraint(constraint, "", table, schema)


def size(type_: Any) -> int:
    """Return the bytes of an integer."""
    return INTEGERS.get(type_.__visit_name__.upper(), 4)


def is_single(type_: Any) -> bool:
    """Return whether a floating point number has 4 bytes."""
    name = type_.__visit_name__.upper()
    return name == "REAL" or (name == "FLOAT" and 0 < (type_.precision or 53) < 25)


def kind_of_time(type_: Any) -> str:
    for name, class_ in {
        "datetime": types.DateTime,
        "date": types.Date,
        "time": types.Time,
    }.items():
        if isinstance(type_, class_):
            return name
    return "interval"
