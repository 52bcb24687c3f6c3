"""Tables on MySQL and MariaDB that may record a history."""

# No schema, and a table that has Alembic's one column only.
VERSION_TABLES = """
SELECT NULL, table_name FROM information_schema.columns WHERE table_schema = DATABASE()
GROUP BY table_name HAVING group_concat(column_name) = 'version_num'
"""
