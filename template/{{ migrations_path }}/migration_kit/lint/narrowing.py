"""Which change of a column's type loses values, or makes MySQL and MariaDB copy the table."""

from typing import Any

from sqlalchemy import Dialect, types
from sqlalchemy.exc import CompileError

# Bytes of an integer, by the name of its type.
INTEGERS = {"TINYINT": 1, "SMALLINT": 2, "MEDIUMINT": 3, "INTEGER": 4, "BIGINT": 8}
DIGITS = {1: 3, 2: 5, 3: 8, 4: 10, 8: 19}
# Bytes of a text, by the name of its type.
TEXTS = {"TINYTEXT": 2**8, "TEXT": 2**16, "MEDIUMTEXT": 2**24, "LONGTEXT": 2**32}

# Of the bytes up to which a VARCHAR has one byte for its length; a character takes up to 4.
SHORT = 255


def same(old: Any, new: Any, dialect: Dialect) -> bool:
    """Tell whether two types are the same in the database."""
    return ddl(old, dialect) == ddl(new, dialect)


def ddl(type_: Any, dialect: Dialect) -> str:
    """Return a type as the database writes it."""
    try:
        return str(types.to_instance(type_).compile(dialect=dialect))
    except CompileError:  # MySQL has no VARCHAR without a length
        return repr(type_)


def plain(type_: Any, dialect: Dialect) -> Any:
    """Return the type that a column has in the database: no decorator, no variant."""
    type_ = types.to_instance(type_)
    for _ in range(5):
        type_ = type_.dialect_impl(dialect)
        if not isinstance(type_, types.TypeDecorator):
            break
        type_ = type_.load_dialect_impl(dialect)
    return type_


def narrows(old: Any, new: Any, dialect: Dialect, using: str = "") -> str:
    """Return what values a change of type loses or refuses, or nothing.

    Args:
        old: the column's type.
        new: its new type.
        dialect: of the database.
        using: what PostgreSQL computes the new value of.
    """
    before, after = plain(old, dialect), plain(new, dialect)
    change = f"{ddl(old, dialect)} becomes {ddl(new, dialect)}"
    if dialect.name == "sqlite":
        lost = on_sqlite(before, after)
    else:
        lost = lost_values(before, after, dialect, using)
    return f"{change}: {lost}" if lost else ""


def on_sqlite(old: Any, new: Any) -> str:
    """Return what SQLite loses: it has no lengths, but Alembic copies with CAST."""
    if old._type_affinity is new._type_affinity or family(new) in ("string", "?"):
        return ""
    if family(old) in ("integer", "boolean") and family(new) != "time":
        return ""
    if family(old) in ("?", "number") and family(new) == "number":
        return ""
    return (
        "the copy is made with CAST, and what is no such value becomes 0 or less exact"
    )


def family(type_: Any) -> str:
    """Return what sort of values a type has."""
    for name, classes in {
        "enum": (types.Enum,),
        "string": (types.String,),
        "boolean": (types.Boolean,),
        "integer": (types.Integer,),
        "number": (types.Numeric, types.Float),
        "time": (types.DateTime, types.Date, types.Time, types.Interval),
        "uuid": (types.Uuid,),
        "json": (types.JSON,),
        "binary": (types.LargeBinary, types._Binary),
    }.items():
        if isinstance(type_, classes):
            return name
    return "?"


def lost_values(old: Any, new: Any, dialect: Dialect, using: str) -> str:
    """Return what PostgreSQL, MySQL and MariaDB lose or refuse."""
    match family(old), family(new):
        case ("?", _) | (_, "?"):
            return ""
        case "string", "string":
            before, after = length(old, dialect), length(new, dialect)
            return f"longer values {refused(dialect)}" if after < before else ""
        case "enum", "enum":
            gone = set(old.enums) - set(new.enums)
            return f"{', '.join(sorted(gone))} {refused(dialect)}" if gone else ""
        case "enum", "string":
            longest = max(map(len, old.enums), default=0)
            too_short = length(new, dialect) < longest
            return f"longer values {refused(dialect)}" if too_short else ""
        case "integer", "integer":
            before, after = size(old), size(new)
            narrower = after < before or (
                getattr(new, "unsigned", False) and not getattr(old, "unsigned", False)
            )
            return f"values out of its range {refused(dialect)}" if narrower else ""
        case "number", "number":
            return between_numbers(old, new, dialect)
        case "integer", "number":
            precision, scale = digits(new, dialect)
            small = precision - scale < DIGITS[size(old)]
            return f"large values {refused(dialect)}" if small else ""
        case "number", "integer":
            return "what stands behind the point is rounded"
        case "time", "time":
            return between_times(old, new, dialect, using)
        case ("boolean", "integer" | "number") | ("json", "json") | ("uuid", "uuid"):
            return ""
        case (_, "string"):
            short = length(new, dialect) < 19
            return f"longer values {refused(dialect)}" if short else ""
        case "binary", "binary":
            before, after = (one.length or 2**32 for one in (old, new))
            return f"longer values {refused(dialect)}" if after < before else ""
        case "string", "binary":
            return ""
        case before, after if before != after:
            return f"values that are no such value {refused(dialect)}"
    return ""


def refused(dialect: Dialect) -> str:
    """Return what happens to a value that does not fit."""
    if dialect.name == "postgresql":
        return "stop it, or are cut by a cast"
    return "stop it, or are cut where sql_mode is not strict"


def length(type_: Any, dialect: Dialect) -> int:
    """Return how long a text may be."""
    if dialect.name in ("mysql", "mariadb") and isinstance(type_, types.Text):
        name = type_.__visit_name__.upper()
        return type_.length or TEXTS.get(name, TEXTS["TEXT"])
    return type_.length or 2**31


def size(type_: Any) -> int:
    """Return the bytes of an integer."""
    name = type_.__visit_name__.upper()
    known = {"SMALL_INTEGER": 2, "BIG_INTEGER": 8}
    return INTEGERS.get(name) or known.get(name, 4)


def digits(type_: Any, dialect: Dialect) -> tuple[int, int]:
    """Return the digits of a number, and how many of them stand behind the point."""
    if isinstance(type_, types.Float):
        return 400, 0
    if type_.precision is None:
        is_mysql = dialect.name in ("mysql", "mariadb")
        return (10, 0) if is_mysql else (100_000, 16_383)
    return type_.precision, type_.scale or 0


def between_numbers(old: Any, new: Any, dialect: Dialect) -> str:
    """Return what is lost from one number with a fraction to another."""
    if isinstance(new, types.Float) and not isinstance(old, types.Float):
        return "a floating point number is less exact"
    if isinstance(new, types.Float):
        return "" if not is_single(new) or is_single(old) else "digits are lost"
    (precision, scale), (new_precision, new_scale) = (
        digits(one, dialect) for one in (old, new)
    )
    if isinstance(old, types.Float):
        return "digits behind the point are rounded"
    if new_precision - new_scale < precision - scale and new_precision < 100_000:
        return f"large values {refused(dialect)}"
    return "digits behind the point are rounded" if new_scale < scale else ""


def is_single(type_: Any) -> bool:
    """Tell whether a floating point number has 4 bytes."""
    name = type_.__visit_name__.upper()
    return name == "REAL" or (name == "FLOAT" and 0 < (type_.precision or 53) < 25)


def between_times(old: Any, new: Any, dialect: Dialect, using: str) -> str:
    """Return what is lost from one date or time to another."""
    kinds = [kind_of_time(one) for one in (old, new)]
    if kinds == ["datetime", "datetime"]:
        if dialect.name != "postgresql" or old.timezone == new.timezone:
            return ""
        if "at time zone" in using.lower():
            return ""
        return (
            "each value is taken for one in the time zone of the session: "
            "say postgresql_using=\"... AT TIME ZONE 'UTC'\""
        )
    if kinds == ["date", "datetime"] or kinds[0] == kinds[1]:
        return ""
    return "a part of each value is cut"


def kind_of_time(type_: Any) -> str:
    for name, class_ in {
        "datetime": types.DateTime,
        "date": types.Date,
        "time": types.Time,
    }.items():
        if isinstance(type_, class_):
            return name
    return "interval"


def copies_on_mysql(old: Any, new: Any, dialect: Dialect) -> bool:
    """Tell whether MySQL and MariaDB copy the table for another type.

    A longer VARCHAR is done in place where the bytes of its length stay as many, and so is an ENUM
    with further values at its end. Source: "Online DDL Operations" in MySQL's manual.
    """
    before, after = plain(old, dialect), plain(new, dialect)
    if family(before) == family(after) == "enum":
        return list(after.enums[: len(before.enums)]) != list(before.enums)
    texts = (types.Text, types.CHAR)
    if family(before) == family(after) == "string" and not (
        isinstance(before, texts) or isinstance(after, texts)
    ):
        return length(before, dialect) * 4 <= SHORT < length(after, dialect) * 4
    return True
