"""Whether the code of an earlier release can go on after a statement; in doubt it cannot."""

import re
from functools import partial

pattern = partial(re.compile, flags=re.IGNORECASE | re.DOTALL)

# MySQL runs what is in a comment with an exclamation mark.
COMMENT_OR_STRING = re.compile(r"--[^\n]*|/\*(?!!).*?\*/|'(?:[^']|'')*'", re.DOTALL)
OUTER_COMMA = re.compile(r",(?![^()]*\))")

NAME = r"[\w.$`\"]+"
HARMLESS = pattern(
    r"$|(SELECT|WITH|VALUES|INSERT|UPDATE|DELETE|MERGE|REPLACE|COPY|SHOW|EXPLAIN|DESCRIBE|ANALYZE|VACUUM|"
    r"PRAGMA|SET|RESET|BEGIN|START|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE|LOCK|UNLOCK|GRANT|"
    r"REFRESH|REINDEX|COMMENT ON|DROP INDEX|ALTER INDEX|"
    r"CREATE ((?!UNIQUE)\w+ )?(TABLE|INDEX|VIEW|SEQUENCE|TYPE|DOMAIN|SCHEMA|EXTENSION))\b"
    rf"|ALTER TYPE {NAME} ADD VALUE\b|ALTER DEFAULT PRIVILEGES (?!.*\bREVOKE\b)"
)
NEW_TABLE = pattern(rf"CREATE (?:\w+ )?TABLE (?!IF )({NAME})")
ON_TABLE = pattern(
    rf"^CREATE (UNIQUE INDEX|POLICY) .*? ON (?:ONLY )?({NAME}) ?(?:USING \w+ ?)?"
)
ALTER = pattern(rf"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?({NAME}) (.+)")

# What an ALTER TABLE may do.
ACTION = pattern(
    r"VALIDATE CONSTRAINT |DROP (CONSTRAINT|FOREIGN KEY|CHECK|INDEX|KEY) (IF EXISTS )?\S+|"
    rf"ALTER (COLUMN )?{NAME} (DROP NOT NULL|SET DEFAULT)\b|COMMENT\b|ALGORITHM\b|LOCK\b"
)
KEY = pattern(
    rf"(?:UNIQUE INDEX|ADD (?:CONSTRAINT {NAME} )?(?:FOREIGN KEY|UNIQUE)) ?\(([^()]*)\)"
    r"(?!.*\b(MATCH FULL|NULLS NOT)\b)"
)
COLUMN = pattern(
    r"ADD (?:COLUMN )?(?!(?:CONSTRAINT|FOREIGN|UNIQUE|PRIMARY|CHECK|EXCLUDE)\b)"
    rf"(IF NOT EXISTS )?({NAME}) (?!.*\b(?:UNIQUE|PRIMARY|CHECK)\b)(.+)"
)
FILLED = pattern(r"\b(DEFAULT|GENERATED|AS|AUTO_INCREMENT|\w*SERIAL)\b")


def first_risk(sql: str) -> str:
    """Return the first statement that the code of an earlier release may not survive, or nothing.

    Args:
        sql: of one revision; what it changes in a new table or column is no risk.
    """
    new: set[str] = set()
    plain = COMMENT_OR_STRING.sub(lambda one: "''" if one[0][0] == "'" else " ", sql)
    for statement in (" ".join(part.split()) for part in plain.split(";")):
        if "\\'" in statement or not is_harmless(statement, new):
            return statement
    return ""


def is_harmless(statement: str, new: set[str]) -> bool:
    """Return whether earlier code survives a statement, and add new tables and columns."""
    if table := NEW_TABLE.match(statement):
        new.add(plain_name(table[1]))
    if HARMLESS.match(statement):
        return True
    altered = ALTER.match(ON_TABLE.sub(r"ALTER TABLE \2 \1 ", statement))
    if not altered:
        return False
    name = plain_name(altered[1])
    actions = map(str.strip, OUTER_COMMA.split(altered[2]))
    return name in new or all(is_harmless_action(name, one, new) for one in actions)


def is_harmless_action(table: str, action: str, new: set[str]) -> bool:
    """Return the same for an action of ALTER TABLE."""
    if key := KEY.match(action):  # earlier code leaves a new column NULL
        columns = {f"{table}.{plain_name(one)}" for one in key[1].split(",")}
        return not columns.isdisjoint(new)
    column = COLUMN.match(action)
    if column and not FILLED.search(column[3]):
        new |= set() if column[1] else {f"{table}.{plain_name(column[2])}"}
        return not re.search(r"(?i)\bNOT NULL\b", column[3])
    return bool(column or ACTION.match(action))


def plain_name(name: str) -> str:
    """Return a name as it compares with others."""
    return re.sub('[`" ]', "", name).lower()
