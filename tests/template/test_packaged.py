"""Migrations run where the project's folder is not: the recipes of docs/how-to/packaging.md."""

from __future__ import annotations

import compileall
import os
import re
import shutil
import sys
import zipapp
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import URL

from support.commands import run
from support.databases import query, tables, url_text, version
from support.projects import Database, New, Project, last_line
from support.releases import ROOT
from support.variants import ENGINE_OF, ONE_OF_EACH, Engine, Variant

SQLITE = ENGINE_OF["sqlite-pysqlite-sync"]
HEAD = "4f1c8a2d7b3e"


def block(language: str, number: int = 0) -> str:
    """Return a block of the page: of a language, or `{file}` of the session with its path."""
    page = (ROOT / "docs/how-to/packaging.md").read_text(encoding="utf-8")
    pattern = rf"^ *```{re.escape(language)}\n(?::[^\n]*\n)*(.+?)^ *```"
    found: list[str] = re.findall(pattern, page, re.DOTALL | re.MULTILINE)
    return found[number]


def written(path: str) -> str:
    return block(f"{{file}} wheel {path}")


def packaged(new: New, engine: Engine = SQLITE, **answers: object) -> Project:
    """Return a project with the page's module in its package."""
    project = new(Variant(engine, migrations_in_package=True), **answers)
    path = "src/my_app/migrate.py"
    project.write(path, written(path))
    return project


def install(project: Project, folder: Path) -> Path:
    """Build the project's wheel, delete the project, and return what pip would install."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", cwd=project)
    [wheel] = (project / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    shutil.rmtree(project)
    return folder


def migrate(site: Path, url: URL, *command: str, fails: bool = False) -> str:
    """Run the module of an installed package, in another folder."""
    program = (sys.executable, "-m", "my_app.migrate", *command)
    env = {"PYTHONPATH": str(site), "DATABASE_URL": url_text(url)}
    return run(*program, cwd=site.parent, env=env, fails=fails)


def without_sources(site: Path, but: str = "") -> None:
    compileall.compile_dir(site, quiet=1, legacy=True)
    for path in site.rglob("*.py"):
        if path.name != but:
            path.unlink()
    for folder in site.rglob("__pycache__"):
        shutil.rmtree(folder)


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_wheel_has_its_migrations(
    new: New, database: Database, tmp_path: Path, engine: Engine
) -> None:
    site = install(packaged(new, engine), tmp_path / "site")
    url = database(engine.database, engine.driver)
    assert "create heroes" in migrate(site, url)
    assert tables(url) == {"heroes"}
    assert f"{HEAD} (head)" in migrate(site, url, "current")
    assert "No new upgrade operations" in migrate(site, url, "check")
    migrate(site, url, "downgrade", "base")
    assert tables(url) == set()


def test_wheel_never_takes_the_development_database(new: New, tmp_path: Path) -> None:
    site = install(packaged(new), tmp_path / "site")
    env = {"PYTHONPATH": str(site)}
    command = (sys.executable, "-m", "my_app.migrate")
    output = run(*command, cwd=tmp_path, env=env, fails=True)
    assert last_line(output).startswith("the database URL is missing")
    assert "Set DATABASE_URL" in last_line(output)
    assert len(output.splitlines()) == 1


def test_error_is_not_hidden_by_another_one(
    new: New, database: Database, tmp_path: Path
) -> None:
    """With several databases, the fix looks for the others in alembic.ini, which is not there."""
    more = {"analytics": "sqlite+pysqlite:///analytics.db"}
    site = install(packaged(new, more_databases=more), tmp_path / "site")
    url = database("sqlite", "pysqlite")
    output = migrate(site, url, "upgrade", "abc", fails=True)
    assert last_line(output).startswith("Can't locate revision identified by 'abc'")


def test_wheel_with_alembic_ini(new: New, database: Database, tmp_path: Path) -> None:
    more = {"analytics": "sqlite+pysqlite:///analytics.db"}
    project = packaged(new, more_databases=more)
    pyproject, ini = project.read("pyproject.toml"), project.read("alembic.ini")
    project.write("pyproject.toml", f"{pyproject}\n{block('toml')}")
    locations = re.findall("script_location = (.*)", block("ini"))
    sections = iter(locations)
    ini = re.sub(
        "(?m)^(script_location = ).*", lambda line: line[1] + next(sections), ini
    )
    project.write("alembic.ini", ini)
    assert "(head)" in project.alembic("heads")  # in the checkout as well
    site = install(project, tmp_path / "site")
    urls = [database("sqlite", "pysqlite") for _ in locations]
    env = {"PYTHONPATH": str(site), "DATABASE_URL": url_text(urls[0])}
    env["ANALYTICS_DATABASE_URL"] = url_text(urls[1])
    file = str(site / "my_app/alembic.ini")
    command = (sys.executable, "-m", "my_app.migrations", "--config", file)
    output = run(*command, "all", "upgrade", "head", cwd=tmp_path, env=env)
    assert "[analytics]" in output
    assert version(urls[0]) == [HEAD]
    assert "alembic_version" in str(query(urls[1], "SELECT name FROM sqlite_master"))


# ----------------------------------------------------------------------------- Bytecode


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_wheel_without_sources(
    new: New, database: Database, tmp_path: Path, engine: Engine
) -> None:
    site = install(packaged(new, engine), tmp_path / "site")
    without_sources(site)
    url = database(engine.database, engine.driver)
    assert "create heroes" in migrate(site, url)
    assert tables(url) == {"heroes"}
    assert f"{HEAD} (head)" in migrate(site, url, "heads")
    if engine.database != "mariadb":
        assert "No new upgrade operations" in migrate(site, url, "check")
    output = migrate(site, url, "upgrade", "abc", fails=True)
    assert last_line(output).startswith("Can't locate revision identified by 'abc'")
    query(url, "CREATE TABLE stray (id INTEGER)")
    output = migrate(site, url, "check", fails=True)
    assert last_line(output) == (
        "2026_01_31_1200-4f1c8a2d7b3e_create_heroes.pyc has no source to read. "
        "Ship its .py file"
    )


def test_run_without_sources_needs_no_setting(
    new: New, database: Database, tmp_path: Path
) -> None:
    """Alembic alone finds no revision then, does nothing and exits with 0."""
    site = install(packaged(new), tmp_path / "site")
    without_sources(site)
    program = (
        "from alembic import command, config\n"
        "config = config.Config()\n"
        "config.set_main_option('script_location', 'my_app:migrations')\n"
        "command.upgrade(config, 'head')\n"
    )
    url = database("sqlite", "pysqlite")
    env = {"PYTHONPATH": str(site), "DATABASE_URL": url_text(url)}
    run(sys.executable, "-c", program, cwd=tmp_path, env=env)
    assert version(url) == [HEAD]


def test_tenants_without_sources(new: New, tmp_path: Path) -> None:
    project = packaged(new, tenants="database")
    text = project.read("src/my_app/migrations/tenants.py")
    text = re.sub(r"raise NotImplementedError\(.*\)", 'return ["a", "b"]', text)
    project.write("src/my_app/migrations/tenants.py", text)
    ini = re.sub(
        "(?m)^(script_location = ).*",
        r"\1my_app:migrations",
        project.read("alembic.ini"),
    )
    project.write("alembic.ini", ini)
    pyproject = project.read("pyproject.toml")
    project.write("pyproject.toml", f"{pyproject}\n{block('toml')}")
    site = install(project, tmp_path / "site")
    without_sources(site, but="tenants.py")
    file = str(site / "my_app/alembic.ini")
    command = (sys.executable, "-m", "my_app.migrations", "--config", file, "tenants")
    env = {"PYTHONPATH": str(site)}
    run(*command, "create", "a", "b", cwd=tmp_path, env=env)
    run(*command, "downgrade", "base", cwd=tmp_path, env=env)
    output = run(*command, "upgrade", cwd=tmp_path, env=env)
    assert "2 upgraded" in output
    assert "2 at the head" in run(*command, "current", cwd=tmp_path, env=env)


def test_protected_database_refuses_what_it_cannot_read(
    new: New, database: Database, tmp_path: Path
) -> None:
    site = install(packaged(new, features=["lint"]), tmp_path / "site")
    without_sources(site)
    url = database("sqlite", "pysqlite")
    env = {"PYTHONPATH": str(site), "DATABASE_URL": url_text(url)}
    env["MIGRATIONS_PROTECTED"] = "true"
    command = (sys.executable, "-m", "my_app.migrate")
    output = run(*command, cwd=tmp_path, env=env, fails=True)
    assert last_line(output).endswith("has no source to read. Ship its .py file")
    assert tables(url) == set()


def test_deleted_revision_does_not_come_back_from_its_bytecode(new: New) -> None:
    """As it would with Alembic's `sourceless`, which looks into `__pycache__` as well."""
    project = new(SQLITE)
    project.alembic("upgrade", "head")
    project.alembic("revision", "-m", "capes")
    project.alembic("heads")
    [revision] = project.versions.glob("*_capes.py")
    compileall.compile_dir(project.versions, quiet=1)
    assert list(project.versions.glob("__pycache__/*_capes.*.pyc"))
    revision.unlink()
    project.alembic("upgrade", "head")
    assert project.version() == [HEAD]


# -------------------------------------------------------------------- One file, frozen


def test_zipapp_unpacks_its_migrations(
    new: New, database: Database, tmp_path: Path
) -> None:
    site = install(packaged(new), tmp_path / "app")
    main = site / "__main__.py"
    main.write_text("from my_app.migrate import main\n\nmain()\n")
    zipapp.create_archive(site, tmp_path / "plain.pyz")
    main.write_text(written("app/__main__.py"))
    zipapp.create_archive(site, tmp_path / "app.pyz")
    shutil.rmtree(site)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    url = database("sqlite", "pysqlite")
    env = {"DATABASE_URL": url_text(url), "TMPDIR": str(scratch)}
    if sys.version_info < (3, 12):
        plain = run(sys.executable, "plain.pyz", cwd=tmp_path, env=env, fails=True)
        assert plain.splitlines()[-1].startswith("IsADirectoryError")
    assert "create heroes" in run(sys.executable, "app.pyz", cwd=tmp_path, env=env)
    assert version(url) == [HEAD]
    run(sys.executable, "app.pyz", "check", cwd=tmp_path, env=env)
    run(sys.executable, "app.pyz", "upgrade", "abc", cwd=tmp_path, env=env, fails=True)
    assert list(scratch.iterdir()) == []


def test_pyinstaller_has_all_that_alembic_reads(
    new: New, database: Database, tmp_path: Path
) -> None:
    project = packaged(new)
    project.write("my_app.spec", written("my_app.spec"))
    command = ("-m", "PyInstaller", "--log-level", "ERROR", "my_app.spec")
    run(sys.executable, *command, cwd=project)
    shutil.move(project / "dist/my-app-migrate", tmp_path / "program")
    shutil.rmtree(project)
    url = database("sqlite", "pysqlite")

    def program(*arguments: str, fails: bool = False) -> str:
        env = {"DATABASE_URL": url_text(url)}
        file = tmp_path / "program/my-app-migrate"
        return run(file, *arguments, cwd="/", env=env, fails=fails)

    assert "create heroes" in program()
    assert version(url) == [HEAD]
    assert "No new upgrade operations" in program("check")
    output = program("upgrade", "abc", fails=True)
    assert last_line(output).startswith("Can't locate revision identified by 'abc'")


# ---------------------------------------------------------------------------- Read-only


def test_nothing_is_written_where_the_application_is(
    new: New, database: Database, tmp_path: Path
) -> None:
    """In another folder, as a user without HOME."""
    site = install(packaged(new), tmp_path / "site")
    folders = [site, *(path for path in site.rglob("*") if path.is_dir())]
    as_others: tuple[str, ...] = ()
    if os.geteuid() == 0:  # who may write everywhere, without this
        if not (setpriv := shutil.which("setpriv")):
            pytest.skip("root may write everywhere, and there is no setpriv")
        as_others = (setpriv, "--bounding-set=-dac_override")
    url = database("sqlite", "pysqlite")
    env = {"PYTHONPATH": str(site), "DATABASE_URL": url_text(url)}
    no_home = ("env", "--unset=HOME", *as_others)
    for folder in folders:
        folder.chmod(0o555)
    try:
        run(*no_home, "touch", str(site / "file"), cwd="/", fails=True)
        command = (*no_home, sys.executable, "-m", "my_app.migrate")
        assert "create heroes" in run(*command, cwd="/", env=env)
        assert "No new upgrade operations" in run(*command, "check", cwd="/", env=env)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert version(url) == [HEAD]
    assert not list(site.rglob("__pycache__"))
