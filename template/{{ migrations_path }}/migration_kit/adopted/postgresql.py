"""Tables on PostgreSQL that may record a history."""

# A schema, NULL for the default one, and a table that has Alembic's one column only.
VERSION_TABLES = """
SELECT nullif(n.nspname, current_schema()), c.relname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attname = 'version_num' AND c.relkind = 'r' AND c.relnatts = 1
AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
"""
