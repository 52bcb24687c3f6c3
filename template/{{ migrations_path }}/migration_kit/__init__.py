"""What makes these migrations safe. The template owns this folder: `copier update` replaces it.

- A run, by env.py: `environment` puts together `settings`, `options`, `connect`, `errors`,
  `lock` (of which `pooler`, `galera` and `clusters` know where it holds), `retry`,
  `foreign_keys`, `history`, `protect`, `recorded`, `models` and `autogenerate`.
- A revision that Alembic writes: `autogenerate` asks `compare` what differs, `renames` what only
  has a new name, `ownership` whose table it is, `order` what comes first, and `render` (for
  PostgreSQL `enums` too) how to write it.
- The tests: `testing` makes databases (`mysql_copy`, `leftovers`), `roundtrip` takes each revision
  up, down and up again.
- The command line, by `__main__.py` here and beside this folder: `head`, `draw`, `lint`, `squash`,
  `backfill`, and `all` of `databases`. `lint` asks `changes` what a revision destroys, for
  PostgreSQL `squawk` what it locks; `replaced` knows what was squashed.
- Where there are tenants: `tenant` is what a run knows of its own; `fleet` is their command line,
  `workers` the processes, `tenant_commands` what these do.
- All of them: `command` knows which Alembic command runs, `paths` where the migrations are,
  `databases` which histories alembic.ini names.
"""
