"""Several databases in one project: each has a history of its own, and none disturbs another."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import URL

from support import databases, history
from support.commands import run, script
from support.databases import url_text
from support.projects import Database, New, Project, Render, last_line
from support.variants import ENGINE_OF, POSTGRESQL, SEVERAL, Variant

ANALYTICS = {"analytics": "sqlite+pysqlite:///analytics.db"}

MODEL = '''\
"""One more table."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from my_app.{database}.models.base import Base


class {name}(Base):
    """A row of it."""

    __tablename__ = "{table}"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), index=True)
'''


def add_model(project: Project, database: str, table: str) -> None:
    name = table.title()
    source = MODEL.format(database=database, name=name, table=table)
    project.write(f"src/my_app/{database}/models/{table}.py", source)


def variables(urls: dict[str, URL]) -> dict[str, str]:
    """Return what leads each further database, and its tests, to a URL."""
    return {
        f"{prefix}{name.upper()}_DATABASE_URL": url_text(url)
        for name, url in urls.items()
        for prefix in (["", "TEST_"] if url.host else [""])
    }


def test_each_database_has_a_history_of_its_own(new: New, database: Database) -> None:
    features = ["autogenerate", "branches", "testing", "diagram"]
    project = new(SEVERAL[0], features=features)
    urls = {
        "analytics": database("sqlite", "aiosqlite"),
        "billing": database("mariadb", "pymysql"),
    }
    env = variables(urls)
    for name in urls:
        add_model(project, name, f"{name}rows")

    def run_all(*arguments: str, fails: bool = False) -> str:
        command = ("python", "migrations", "all", *arguments)
        return project.run(*command, env=env, fails=fails)

    run_all("upgrade", "head")
    written = run_all("revision", "--autogenerate", "-m", "add rows")
    assert "no revision is written" in written  # for the first one
    assert "WARNI" not in written
    run_all("upgrade", "head")
    run_all("check")
    assert project.tables() == {"heroes"}
    heads = {project.head()}
    for name, url in urls.items():
        assert databases.tables(url) == {f"{name}rows"}
        head = project.read(f"migrations/{name}/HEAD")
        assert databases.version(url) == head.split()
        heads.add(head)
    assert len(heads) == 3

    output = project.own_tests(fails=False, **env)
    assert "18 passed" in output
    project.kit("draw")
    page = project.read("docs/schema.md")
    assert page.index("heroes") < page.index("## Tables of analytics")
    assert page.index("analyticsrows") < page.index("billingrows")
    project.kit("draw", "--check")
    project.ruff()
    run_all("downgrade", "base")
    assert not databases.tables(urls["billing"])
    line = run_all("check", fails=True).splitlines()[-1]
    assert line == (
        "FAILED: it failed on alembic, analytics, billing. Fix it, and run it again"
    )


def test_variable_of_the_first_database_is_its_alone(new: New) -> None:
    project = new(more_databases=ANALYTICS)
    project.upgraded()
    project.alembic("-n", "analytics", "ensure_version")
    assert (project / "analytics.db").exists()
    assert project.version() == project.head().split()
    line = last_line(
        project.alembic(
            "-n", "analytics", "current", fails=True, ANALYTICS_DATABASE_URL="nonsense"
        )
    )
    assert "ANALYTICS_DATABASE_URL" in line
    project.edit("alembic.ini", "sqlite+pysqlite:///analytics.db", "nonsense")
    line = last_line(project.alembic("-n", "analytics", "current", fails=True))
    assert "sqlalchemy.url of [analytics] in alembic.ini" in line


def test_one_that_fails_stops_no_other(new: New) -> None:
    project = new(more_databases=ANALYTICS)
    add_model(project, "analytics", "events")
    project.alembic("-n", "analytics", "revision", "--autogenerate", "-m", "events")
    project.add_revision("broken", "op.execute('nonsense')")
    command = ("python", "migrations", "all", "upgrade", "head")
    # In a file, in which Python does not write line by line.
    env = project.env | {"PYTHONUNBUFFERED": ""}
    output = run(sys.executable, *command[1:], cwd=project, env=env, fails=True)
    why, summary = re.findall("^FAILED: .*", output, re.MULTILINE)
    assert "nonsense" in why
    assert (
        summary
        == output.splitlines()[-1]
        == "FAILED: it failed on alembic. Fix it, and run it again"
    )
    events = URL.create("sqlite+pysqlite", database=str(project / "analytics.db"))
    assert databases.tables(events) == {"events"}
    assert last_line(project.kit("all", fails=True)).startswith("no command. ")


def test_one_may_have_revisions_before_the_first_one_has_any(new: New) -> None:
    """They lie below the first one's folder, and are no revisions that it has lost."""
    project = new(Variant(example="none"), more_databases=ANALYTICS)
    add_model(project, "analytics", "events")
    project.alembic("-n", "analytics", "revision", "--autogenerate", "-m", "events")
    project.alembic("check")


def test_modules_of_one_name_are_kept_apart(new: New) -> None:
    """Where each section has a path of its own, each database has a process of its own."""
    project = new(more_databases=ANALYTICS)
    section = "[analytics]\nscript_location = %(here)s/migrations/analytics\n"
    path = "prepend_sys_path = %(here)s/migrations"
    ini = project.read("alembic.ini")
    first, second = ini.split(section)
    second = second.replace(path, f"{path}{':%(here)s/b'}", 1)
    project.write(
        "alembic.ini", first.replace(path, f"{path}:%(here)s/a") + section + second
    )
    for folder in ("a", "b"):
        project.write(f"{folder}/same.py", f"name = '{folder}'\n")
    for env_py in ("migrations/env.py", "migrations/analytics/env.py"):
        source = project.read(env_py)
        project.write(env_py, f"{source}\nimport same\n\nprint('same', same.name)\n")
    output = project.run("python", "migrations", "all", "current")
    assert re.findall("same .", output) == ["same a", "same b"]


def break_downgrade(project: Project) -> None:
    """Let a revision of `analytics` leave its index behind."""
    [path] = (project / "migrations/analytics/versions").glob("*.py")
    head, downgrade = path.read_text().split("def downgrade")
    downgrade = re.sub(r"(?s)    with op\.batch.*?\n\n", "", downgrade)
    downgrade = downgrade.replace('op.drop_table("events")', "op.execute('SELECT 1')")
    path.write_text(f"{head}def downgrade{downgrade}")


def test_broken_downgrade_of_any_history_is_found(new: New) -> None:
    project = new(more_databases=ANALYTICS)
    add_model(project, "analytics", "events")
    project.alembic("-n", "analytics", "revision", "--autogenerate", "-m", "events")
    assert "14 passed" in project.own_tests()
    break_downgrade(project)
    output = project.own_tests(fails=True)
    assert "test_each_revision_goes_up_down_and_up[analytics]" in output
    assert "1 failed" in output


STOCK_ENV = """\
from alembic import context
from sqlalchemy import MetaData, create_engine

url = context.config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, target_metadata=MetaData())
    context.run_migrations()
else:
    with create_engine(url).begin() as connection:
        context.configure(connection=connection, target_metadata=MetaData())
        context.run_migrations()
"""


def test_section_that_its_owner_wrote_is_tested_too(new: New) -> None:
    """With its own env.py it is refused, and not run: that would be on the owner's database."""
    project = new()
    own = (
        "[reports]\nscript_location = %(here)s/reports\npath_separator = os\n"
        "sqlalchemy.url = sqlite:///%(here)s/reports.db\n\n"
    )
    project.edit("alembic.ini", "[post_write_hooks]", f"{own}[post_write_hooks]")
    project.write("reports/env.py", STOCK_ENV)
    project.write("reports/versions/.gitkeep", "")
    output = project.own_tests(fails=True)
    assert "reports/env.py does not call the kit. End it with run(" in output
    assert not (project / "reports.db").exists()
    migrations = "migrations/env.py"
    project.write(
        "reports/env.py",
        project.read(migrations).replace(
            "os.path.dirname(__file__)",
            "os.path.join(os.path.dirname(os.path.dirname(__file__)), 'migrations')",
        ),
    )
    output = project.own_tests(fails=True)
    assert "test_models_equal_the_migrated_schema[reports]" in output


@pytest.mark.parametrize("engine", ["sqlite-pysqlite-sync", str(POSTGRESQL)])
def test_two_histories_share_a_database(new: New, engine: str) -> None:
    variant = Variant(ENGINE_OF[engine])
    url = new(variant).url
    project = new(
        variant,
        database_url=url_text(url),
        more_databases={"analytics": url_text(url).replace("+pysqlite", "")},
    ).on(url)
    env = {"ANALYTICS_DATABASE_URL": url_text(url)}
    add_model(project, "analytics", "events")

    def run_all(*arguments: str) -> str:
        return project.run("python", "migrations", "all", *arguments, env=env)

    run_all("upgrade", "head")
    run_all("revision", "--autogenerate", "-m", "events")
    run_all("upgrade", "head")
    assert project.tables() >= {"heroes", "events"}
    assert "left alone" not in run_all("check")
    assert project.version() == project.head().split()
    [[recorded]] = project.query("SELECT version_num FROM alembic_version_analytics")
    assert [recorded] == project.read("migrations/analytics/HEAD").split()
    project.run("alembic", "-n", "analytics", "downgrade", "base", env=env)
    assert "heroes" in project.tables()

    project.edit("alembic.ini", "version_table = alembic_version_analytics\n", "")
    line = last_line(
        project.run("alembic", "-n", "analytics", "check", fails=True, env=env)
    )
    assert line.endswith(
        ": it is one of [alembic]. Use `alembic -n alembic`, correct ANALYTICS_DATABASE_URL, "
        "or give each history in one database its own version_table in alembic.ini"
    )


def test_fixtures_lead_the_code_under_test_to_each_database(new: New) -> None:
    project = new(
        more_databases=ANALYTICS | {"archive": "sqlite+aiosqlite:///archive.db"}
    )
    add_model(project, "analytics", "events")
    add_model(project, "archive", "pages")
    project.upgraded()
    project.run(
        "python", "migrations", "all", "revision", "--autogenerate", "-m", "all"
    )
    # The application may import any of its engines from anywhere.
    project.write(
        "src/my_app/models/__init__.py",
        "from my_app.analytics import engine\n"
        + project.read("src/my_app/models/__init__.py"),
    )
    project.write(
        "tests/test_each.py",
        """\
from my_app.analytics.engine import Session as Analytics
from my_app.analytics.models.events import Events
from my_app.archive.models.pages import Pages
from my_app.models.hero import Hero
from sqlalchemy import func, select


def count(session, model):
    return session.scalar(select(func.count()).select_from(model))


def test_both(session, analytics_session):
    session.add(Hero(name="Deadpond", secret_name="Dive"))
    session.commit()
    with Analytics.begin() as other:
        other.add(Events(name="seen"))
    assert count(session, Hero) == count(analytics_session, Events) == 1


def test_nothing_is_left(session, analytics_session, fresh_analytics_database):
    assert count(session, Hero) == count(analytics_session, Events) == 0
    assert "_test_" in str(fresh_analytics_database.url)


async def test_archive(archive_session, fresh_archive_database):
    archive_session.add(Pages(name="first"))
    await archive_session.commit()
    assert await archive_session.scalar(select(func.count()).select_from(Pages)) == 1
""",
    )
    (project / "analytics.db").unlink()
    assert "3 passed" in project.own_tests("tests/test_each.py")
    assert not (project / "analytics.db").exists()


def test_branches_of_a_further_history_are_put_in_a_row(new: New) -> None:
    project = new(more_databases=ANALYTICS)
    options = ("-n", "analytics", "revision", "-m")
    project.alembic(*options, "first", "--rev-id", "one")
    for revision in ("two", "three"):
        project.alembic(
            *options, revision, "--rev-id", revision, "--head", "one", "--splice"
        )
    assert project.read("migrations/analytics/HEAD") == "three\ntwo\n"
    assert project.head() == "4f1c8a2d7b3e\n"
    output = project.own_tests(fails=True)
    assert "`alembic -n analytics merge three two`" in output
    options = ("-n", "analytics", "upgrade", "head")
    line = last_line(project.alembic(*options, fails=True))
    assert "`alembic -n analytics merge three two`" in line
    assert "run `alembic -n analytics stamp --purge " in project.rebase("two")
    assert len(project.read("migrations/analytics/HEAD").split()) == 1
    line = last_line(project.rebase("nobody", fails=True))
    assert "nobody" in line


# ----------------------------------------------------------------------- Answers


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (["analytics"], "write {name: URL, ...}"),
        ("analytics", "write {name: URL, ...}"),
        (
            {"Analytics": "sqlite:///a.db"},
            'at most 15 of a-z, 0-9 and single _, a letter first: sales_eu, not "Analytics"',
        ),
        ({"a" * 16: "sqlite:///a.db"}, "at most 15"),
        ({"a__b": "sqlite:///a.db"}, "single _"),
        ({7: "sqlite:///a.db"}, 'a letter first: sales_eu, not "7"'),
        ({"../up": "sqlite:///a.db"}, 'sales_eu, not "../up"'),
        ({"class": "sqlite:///a.db"}, "use another name, such as class_data"),
        ({"test": "sqlite:///a.db"}, "test is already taken"),
        ({"versions": "sqlite:///a.db"}, "versions is already taken"),
        ({"loggers": "sqlite:///a.db"}, "loggers is already taken"),
        ({"logger_root": "sqlite:///a.db"}, "logger_root is already taken"),
        (
            {"analytics": None},
            "start the URL of analytics with sqlite+pysqlite://",
        ),
        ({"analytics": "oracle://x/y"}, "start the URL of analytics"),
        ({"analytics": "mysql://localhost/x"}, "start the URL of analytics"),
        (
            {"analytics": "postgresql+asyncmy://localhost/x"},
            "start the URL of analytics",
        ),
        ({"analytics": "sqlite://"}, "analytics: name a file"),
        (
            {"analytics": "postgresql+psycopg://localhost"},
            "analytics: end it with a database's name",
        ),
        (
            {
                "good": "sqlite:///g.db",
                "analytics": "postgresql+asyncpg://a:b@far.example/x",
            },
            "analytics: remove the password: alembic.ini is committed. Set ANALYTICS_DATABASE_URL",
        ),
    ],
)
def test_bad_answer_gets_a_line(
    template: Path, tmp_path: Path, answer: Any, line: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(line)) as error:
        history.copy_over(template, tmp_path / "p", {"more_databases": answer})
    assert "far.example" not in str(error.value)
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("imports", "line"),
    [
        ({}, "analytics: write module or module:Name"),
        ({"analytics": "shop:"}, "analytics: write module or module:Name"),
        (
            {"analytics": "shop.a:Base", "other": "shop.b:Base"},
            "remove other, or add it",
        ),
    ],
)
def test_bad_import_gets_a_line(
    template: Path, tmp_path: Path, imports: dict[str, str], line: str
) -> None:
    answers: dict[str, Any] = {"base_location": "existing"}
    answers |= {"base_import": "shop.models:Base"}
    answers |= {"more_databases": ANALYTICS, "more_base_imports": imports}
    with pytest.raises(ValueError, match=line):
        history.copy_over(template, tmp_path / "p", answers)


def compose(project: Path) -> dict[str, Any]:
    text = (project / "compose.yaml").read_text(encoding="utf-8")
    check = ("--builtin-schema", "vendor.compose-spec", "compose.yaml")
    run(script("check-jsonschema"), *check, cwd=project)
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def test_compose_has_one_server_for_each_port(render: Render) -> None:
    found = compose(
        render(
            Variant(POSTGRESQL, compose=True),
            more_databases={
                "same_user": "postgresql+psycopg://my_app:my_app@localhost/two",
                "other_user": "postgresql+psycopg://o%27b:it%27s@localhost/three",
                "other_port": "postgresql+psycopg://x:y@localhost:5433/four",
                "file": "sqlite:///file.db",
                "stock": "mariadb+pymysql://m:n@localhost/stock",
            },
        )
    )
    services = found["services"]
    assert {name: service["ports"] for name, service in services.items()} == {
        "db": ["127.0.0.1:5432:5432"],
        "other-port": ["127.0.0.1:5433:5432"],
        "stock": ["127.0.0.1:3306:3306"],
    }
    assert found["configs"]["grants"]["content"].splitlines() == [
        'CREATE DATABASE "two" OWNER "my_app";',
        """CREATE USER "o'b" CREATEDB PASSWORD 'it''s';""",
        """CREATE DATABASE "three" OWNER "o'b";""",
    ]
    assert found["configs"]["stock-grants"]["content"] == "GRANT ALL ON *.* TO 'm'@'%';"
    assert set(found["volumes"]) == {"data", "other-port-data", "stock-data"}


def test_compose_cannot_give_one_port_to_two_kinds(
    template: Path, tmp_path: Path
) -> None:
    answers = {
        "database": "mysql",
        "more_databases": {"stock": "mariadb+pymysql://m:n@localhost/s"},
    }
    with pytest.raises(
        ValueError, match="change the port of stock: database_url uses it"
    ):
        history.copy_over(template, tmp_path / "p", answers | {"compose": True})
    history.copy_over(template, tmp_path / "q", answers)
    assert not (tmp_path / "q/compose.yaml").exists()


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_ci_serves_each_database(render: Render, ci: str) -> None:
    project = render(SEVERAL[0], ci=ci)
    name = {"github": ".github/workflows/ci.yml", "gitlab": ".gitlab-ci.yml"}[ci]
    schema = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}[ci]
    run(script("check-jsonschema"), "--builtin-schema", schema, name, cwd=project)
    text = (project / name).read_text(encoding="utf-8")
    assert "ANALYTICS_DATABASE_URL: sqlite+aiosqlite:///ci_analytics.db" in text
    host = {"github": "localhost:3308", "gitlab": "billing:3306"}[ci]
    url = f"mariadb+pymysql://root:ci@{host}/ci_billing"
    assert f" BILLING_DATABASE_URL: {url}\n" in text
    assert f" TEST_BILLING_DATABASE_URL: {url}\n" in text
    assert "python migrations all downgrade base" in text


def test_adopted_project_has_several(render: Render, tmp_path: Path) -> None:
    project = Project(
        render(
            Variant(base_location="existing", example="none"),
            base_import="shop.models:Base",
            database_url="sqlite+pysqlite:///shop.db",
            more_databases=ANALYTICS,
            more_base_imports={"analytics": "shop.analytics.models:metadata"},
        )
    )
    project.write("src/shop/__init__.py", "")
    project.write("src/shop/analytics/__init__.py", "")
    table = "from sqlalchemy import Column, Integer, MetaData, Table\nmetadata = MetaData()\n"
    table += 'rows = Table("{0}", metadata, Column("id", Integer, primary_key=True))\n'
    project.write("src/shop/models.py", table.format("orders") + "Base = metadata\n")
    project.write("src/shop/analytics/models.py", table.format("events"))

    def run_all(*arguments: str) -> str:
        return project.run("python", "migrations", "all", *arguments)

    written = run_all("revision", "--autogenerate", "-m", "baseline")
    assert "not compared" not in written
    run_all("upgrade", "head")
    run_all("check")
    url = URL.create("sqlite+pysqlite", database=str(project / "analytics.db"))
    assert databases.tables(url) == {"events"}
    output = project.own_tests("--override-ini=pythonpath=migrations")
    assert "14 passed" in output
