"""Everything that a database says of its schema, in its own words.

Autogenerate compares two such catalogs, and the tests of each revision as well.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, TextClause, text

from ..rooms import part

# Kind, name and aspect: ("column", "age", "type"), ("check", "ck_heroes_age", "definition").
Object = tuple[str, str, str]
Objects = dict[Object, str]

# By schema and table. The table "" has the objects of the schema itself: types, sequences, ...
# The schema "" is the default one, which goes without saying in definitions as well.
Catalog = dict[tuple[str, str], Objects]


def read_catalog(connection: Connection, schemas: Mapping[str, str]) -> Catalog:
    """Return the objects of some schemas.

    Args:
        connection: to the database; it is left as it was.
        schemas: names of the server's schemas, each with the name by which to show it.
    """
    found: Catalog = part("catalogs", connection.dialect.name).read(connection, schemas)
    return found


def plain(sql: str) -> TextClause:
    """Return SQL in which a colon is no parameter, for any driver."""
    return text(sql.replace(":", "\\:"))
