"""Tables on SQLite that may record a history."""

# No schema, and a table that has Alembic's one column only.
VERSION_TABLES = """
SELECT NULL, m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
WHERE m.type = 'table' GROUP BY m.name HAVING group_concat(c.name) = 'version_num'
"""
