"""Row-level security, policies and grants of models: seen, written both ways, nothing of others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest

from support.commands import run, script
from support.databases import SERVERS, execute, url_text
from support.projects import New, Project, last_line
from support.variants import ENGINE_OF, POSTGRESQL

FEATURES = ["autogenerate", "testing", "renames", "security"]

MODELS = """\
from sqlalchemy import DDL, ForeignKey, event
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class Team(Base):
    __tablename__ = "teams"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Player(Base):
    __tablename__ = "players"

    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))
    name: Mapped[str]


for statement in (
    "ALTER TABLE %(fullname)s ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE %(fullname)s FORCE ROW LEVEL SECURITY",
    '''CREATE POLICY own ON %(fullname)s AS PERMISSIVE FOR ALL TO APP
    USING (team_id = current_setting('app.team')::int) WITH CHECK (name <> 'a%%b:c')''',
    '''CREATE POLICY named ON players FOR SELECT
    USING (EXISTS (SELECT FROM teams t WHERE t.id = team_id AND t.name = 'x'))''',
    "GRANT SELECT (id, name) ON %(fullname)s TO APP",
    "GRANT INSERT, DELETE ON %(fullname)s TO APP",
    "GRANT USAGE ON SEQUENCE players_id_seq TO APP",
):
    ddl = DDL(statement)  # type: ignore[no-untyped-call]
    event.listen(Player.__table__, "after_create", ddl)

for statement in (
    "GRANT USAGE ON SCHEMA public TO APP",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO APP",
):
    ddl = DDL(statement)  # type: ignore[no-untyped-call]
    event.listen(Base.metadata, "after_create", ddl)
"""

SECOND = MODELS[
    MODELS.index("    '''CREATE POLICY named") : MODELS.index('    "GRANT SELECT (id')
]

# Each changes one property: the text before and after.
CHANGES = {
    "USING": ("'app.team'", "'app.side'"),
    "WITH CHECK": ("'a%%b:c'", "'other'"),
    "role of a policy": ("ALL TO APP", "ALL TO DBA"),
    "one more role": ("ALL TO APP", "ALL TO APP, DBA"),
    "command": ("FOR ALL", "FOR UPDATE"),
    "restrictive": ("AS PERMISSIVE", "AS RESTRICTIVE"),
    "name": ("POLICY own", "POLICY mine"),
    "a policy less": (SECOND, ""),
    "no ENABLE": ('    "ALTER TABLE %(fullname)s ENABLE ROW LEVEL SECURITY",\n', ""),
    "no FORCE": ('    "ALTER TABLE %(fullname)s FORCE ROW LEVEL SECURITY",\n', ""),
    "one more privilege": ("INSERT, DELETE", "INSERT, DELETE, TRUNCATE"),
    "a privilege less": ("INSERT, DELETE", "INSERT"),
    "role of a grant": (
        "INSERT, DELETE ON %(fullname)s TO APP",
        "INSERT, DELETE ON %(fullname)s TO PUBLIC",
    ),
    "grant option": (
        "DELETE ON %(fullname)s TO APP",
        "DELETE ON %(fullname)s TO APP WITH GRANT OPTION",
    ),
    "one more column": ("(id, name)", "(id, name, team_id)"),
    "a column less": ("(id, name)", "(id)"),
    "sequence": ("USAGE ON SEQUENCE", "USAGE, SELECT ON SEQUENCE"),
    "schema": ("USAGE ON SCHEMA", "USAGE, CREATE ON SCHEMA"),
    "default privileges": ("GRANT SELECT ON TABLES", "GRANT SELECT, INSERT ON TABLES"),
}

SAME = {
    "spaces and brackets": ("(name <> 'a%%b:c')", "( (name)  <> 'a%%b:c' )"),
    "another order": ("INSERT, DELETE", "DELETE, INSERT"),
    "another cast": (
        "current_setting('app.team')::int",
        "CAST(current_setting('app.team') AS integer)",
    ),
}

ACL = "(SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest({}) a)"
# PostgreSQL writes the owner's own privileges out after the first REVOKE.
KIND = "CASE relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r' END"
RELACL = f"coalesce(relacl, acldefault({KIND}, relowner))"
STATE = f"""
SELECT concat_ws(' ', tablename, policyname, permissive, roles, cmd, qual, with_check)
FROM pg_policies
UNION ALL SELECT concat_ws(' ', relname, {ACL.format(RELACL)}, relrowsecurity, relforcerowsecurity)
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')
UNION ALL SELECT concat_ws(' ', attrelid::regclass, attname, {ACL.format("attacl")})
FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid >= 16384
UNION ALL SELECT concat_ws(' ', nspname, {ACL.format("nspacl")})
FROM pg_namespace WHERE nspname = 'public'
UNION ALL SELECT concat_ws(' ', defaclobjtype, {ACL.format("defaclacl")}) FROM pg_default_acl
"""


@pytest.fixture
def roles() -> Iterator[tuple[str, str]]:
    """Roles of this test alone: those of a server are seen in all of its databases."""
    names = [f"{name}_{uuid4().hex[:12]}" for name in ("app", "dba")]
    for name in names:
        execute(SERVERS["postgresql"], f"CREATE ROLE {name}")
    yield names[0], names[1]
    for name in names:
        execute(SERVERS["postgresql"], f"DROP ROLE {name}")


def write(project: Project, roles: tuple[str, str], models: str = MODELS) -> None:
    """Write the models, with names of roles."""
    for word, role in zip(["APP", "DBA"], roles, strict=True):
        models = re.sub(rf"\b{word}\b", role, models)
    project.write("src/my_app/models/player.py", models)


def state(project: Project) -> set[str]:
    """Return what the server knows of policies and privileges."""
    return {line for (line,) in project.query(STATE)}


def revision(project: Project, message: str) -> str:
    """Write a revision, and return its source."""
    project.alembic("revision", "--autogenerate", "-m", message)
    return project.revision(message).read_text(encoding="utf-8")


def started(new: New, roles: tuple[str, str], **answers: object) -> Project:
    """Return a project whose database has what the models declare, and what a DBA gave."""
    project = new(POSTGRESQL, example="none", **{"features": FEATURES} | answers)
    write(project, roles, MODELS[: MODELS.index("for statement")])
    revision(project, "tables")
    project.alembic("upgrade", "head")
    dba = roles[1]
    project.query(
        f"CREATE POLICY dba ON players TO {dba} USING (id > 9);"
        f"GRANT SELECT, INSERT ON players TO {dba}; GRANT UPDATE (name) ON teams TO {dba};"
        f"GRANT CREATE ON SCHEMA public TO {dba};"
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {dba};"
        "CREATE TABLE others (id int); ALTER TABLE others ENABLE ROW LEVEL SECURITY"
    )
    write(project, roles)
    return project


def test_each_change_is_seen_and_written_both_ways(
    roles: tuple[str, str], new: New
) -> None:
    project = started(new, roles)
    before = state(project)
    source = revision(project, "security")
    assert roles[1] not in source
    project.alembic_each([["upgrade", "head"], ["check"]])
    declared = state(project)
    names = ("players dba_", "players dba ", "teams", "others")
    kept = {line for line in before if line.startswith(names) and "ar/" not in line}
    assert len(kept) > 3
    assert declared > kept
    assert any(f"{roles[1]}=ar/" in line for line in declared)

    wrong: dict[str, str] = {}
    for name, (old, new_text) in CHANGES.items():
        assert MODELS.count(old) == 1, name
        write(project, roles, MODELS.replace(old, new_text))
        output = project.alembic("revision", "--autogenerate", "-m", "one")
        if not [*project.versions.glob("*_one.py")]:
            wrong[name] = output
            continue
        commands = [["upgrade", "head"], ["check"], ["downgrade", "-1"]]
        project.alembic_each(commands)
        project.revision("one").unlink()
        if state(project) != declared:
            wrong[name] = str(state(project) ^ declared)
    assert wrong == {}

    for old, new_text in SAME.values():
        write(project, roles, MODELS.replace(old, new_text))
        project.alembic("check")
    write(project, roles)
    project.alembic("downgrade", "-1")
    assert state(project) == before
    project.alembic("upgrade", "head")
    for check in (["format", "--check"], ["check"]):
        run(script("ruff"), *check, "migrations/versions", cwd=project.path)
    project.mypy()


LEDGER = """\
from sqlalchemy import DDL, event
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class Entry(Base):
    __tablename__ = "Entries"
    __table_args__ = {"schema": "ledger"}

    id: Mapped[int] = mapped_column(primary_key=True)


for statement in (
    "ALTER TABLE %(fullname)s ENABLE ROW LEVEL SECURITY",
    'CREATE POLICY "Own" ON ledger."Entries" USING (id > 0)',
    "GRANT SELECT ON %(fullname)s TO APP",
    "GRANT USAGE ON SCHEMA ledger TO APP",
):
    ddl = DDL(statement)  # type: ignore[no-untyped-call]
    event.listen(Entry.__table__, "after_create", ddl)
"""


def test_table_comes_and_goes_with_what_it_has(
    roles: tuple[str, str], new: New
) -> None:
    """In one revision, in another schema, and with a driver that takes one statement at a time."""
    engine = ENGINE_OF["postgresql-asyncpg-async"]
    project = new(engine, features=FEATURES).upgraded()
    write(project, roles, LEDGER)
    source = revision(project, "entries")
    assert "op.create_table" in source
    assert "DROP POLICY" not in source
    project.alembic_each([["upgrade", "head"], ["check"]])
    made = state(project)
    ledger = "SELECT polname, polrelid::regclass::text FROM pg_policy"
    assert project.query(ledger) == [("Own", 'ledger."Entries"')]

    entry = project / "src/my_app/models/player.py"
    entry.unlink()
    source = revision(project, "no entries")
    assert source.index("op.drop_table") < source.index("CREATE POLICY")
    project.alembic_each([["upgrade", "head"], ["check"], ["downgrade", "-1"]])
    assert state(project) == made
    assert project.query(ledger) == [("Own", 'ledger."Entries"')]
    project.alembic("upgrade", "head")
    assert "passed" in project.own_tests("tests/test_migrations.py")


def test_drift_and_a_missing_role_fail(roles: tuple[str, str], new: New) -> None:
    project = started(new, roles)
    revision(project, "security")
    path = project.revision("security")
    source = path.read_text(encoding="utf-8")
    path.write_text(source.replace("ENABLE ROW LEVEL", "DISABLE ROW LEVEL", 1))
    output = project.own_tests("tests/test_migrations.py", fails=True)
    assert "players row level security ENABLE" in output
    drop = 'op.execute("DROP POLICY own ON players")'
    assert drop in source
    path.write_text(source.replace(drop, "pass"))
    output = project.own_tests("tests/test_migrations.py", fails=True)
    assert "left: players policy own definition" in output
    path.write_text(source)
    project.alembic("upgrade", "head")
    write(project, ("nobody_of_this_name", roles[1]))
    line = last_line(project.alembic("check", fails=True))
    assert 'role "nobody_of_this_name" does not exist. Correct the model' in line


def test_renamed_table_keeps_its_policies(roles: tuple[str, str], new: New) -> None:
    project = started(new, roles)
    [grant] = re.findall(r".*players_id_seq.*\n", MODELS)
    write(project, roles, MODELS.replace(grant, ""))
    revision(project, "security")
    project.alembic("upgrade", "head")
    before = state(project)
    models = (
        MODELS.replace(grant, "")
        .replace('"players"', '"members"')
        .replace("players", "members")
    )
    write(project, roles, models)
    project.alembic(
        *("-x", "rename=players:members", "revision", "--autogenerate", "-m", "new")
    )
    source = project.revision("new").read_text(encoding="utf-8")
    assert "op.rename_table" in source
    assert "POLICY" not in source
    project.alembic_each([["upgrade", "head"], ["check"], ["downgrade", "-1"]])
    assert state(project) == before


INSERT = """
op.execute("ALTER TABLE teams NO FORCE ROW LEVEL SECURITY")
op.execute("INSERT INTO teams (name) VALUES ('a'), ('b')")
op.execute("ALTER TABLE teams FORCE ROW LEVEL SECURITY")
"""
DELETE = INSERT.replace(
    "INSERT INTO teams (name) VALUES ('a'), ('b')", "DELETE FROM teams"
)


@pytest.fixture
def owner(roles: tuple[str, str]) -> Iterator[str]:
    """A role that may not bypass policies, and FORCE binds it."""
    name = f"owner_{uuid4().hex[:12]}"
    execute(SERVERS["postgresql"], f"CREATE ROLE {name} LOGIN PASSWORD 'x' CREATEDB")
    yield name
    for statement in (f"REASSIGN OWNED BY {name} TO CURRENT_USER", f"DROP ROLE {name}"):
        execute(SERVERS["postgresql"], statement)


def test_owner_without_bypassrls_migrates_and_squashes(
    roles: tuple[str, str], owner: str, new: New
) -> None:
    """The squashed revision has policies, grants, and the rows that FORCE hides from the owner."""
    features = ["autogenerate", "testing", "lint", "squash", "security", "ready"]
    project = new(POSTGRESQL, example="none", features=features)
    database = f"{project.url.database}_owned"
    execute(SERVERS["postgresql"], f"CREATE DATABASE {database} OWNER {owner}")
    url = project.url.set(database=database, username=owner, password="x")
    project = project.on(url)
    try:
        force = MODELS.replace(
            '    "GRANT INSERT, DELETE',
            '    "ALTER TABLE teams FORCE ROW LEVEL SECURITY",\n    "ALTER TABLE teams ENABLE ROW LEVEL SECURITY",\n    "GRANT INSERT, DELETE',
        ).replace("%(fullname)s", "players")
        write(project, roles, force)
        revision(project, "tables")
        [tables] = re.findall(r"-([0-9a-f]+)_", project.revision("tables").name)
        project.alembic("upgrade", "head")
        rows = project.add_revision("rows", INSERT, DELETE, tables)
        project.alembic_each([["upgrade", "head"], ["check"]])
        assert "passed" in project.own_tests("tests/test_migrations.py")
        before = state(project)
        project.commit()
        server = url_text(url)
        line = last_line(
            project.kit("squash", "rows", fails=True, TEST_DATABASE_URL=server)
        )
        assert "insert rows: teams (2)" in line
        project.kit("squash", "--rows", "rows", TEST_DATABASE_URL=server)
        assert not rows.exists()
        project.alembic_each([["check"], ["downgrade", "base"], ["upgrade", "head"]])
        assert state(project) == before
        assert "passed" in project.own_tests("tests/test_migrations.py")
        project.query("ALTER TABLE teams DISABLE ROW LEVEL SECURITY")
        assert project.query("SELECT name FROM teams") == [("a",), ("b",)]
    finally:
        execute(SERVERS["postgresql"], f"DROP DATABASE {database}")


def test_type_of_a_column_that_a_policy_uses(roles: tuple[str, str], new: New) -> None:
    project = started(new, roles)
    revision(project, "security")
    project.alembic("upgrade", "head")
    before = state(project)
    names = MODELS.replace("name: Mapped[str]", "name: Mapped[Name]")
    names = names.replace("import DDL", "import DDL, Text").replace(
        "\n\n\nclass Team",
        "\n\nName = Annotated[str, mapped_column(Text)]\n\n\nclass Team",
    )
    write(project, roles, "from typing import Annotated\n\n" + names)
    source = revision(project, "wide")
    assert source.count("CREATE POLICY own ") == source.count("DROP POLICY own ") == 2
    assert "dba" not in source
    project.alembic_each([["upgrade", "head"], ["check"], ["downgrade", "-1"]])
    assert state(project) == before
