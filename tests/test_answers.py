"""Good answers are recorded and land in every file as they are; bad ones are refused in one line."""

from __future__ import annotations

import ast
import configparser
import keyword
import os
import re
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import copier
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url

from support.commands import run, script
from support.projects import Render, alembic
from support.releases import ROOT
from support.variants import ENGINES, PAIRWISE, Engine, Variant

POSTGRESQL = {"database": "postgresql"}
EXISTING = {"base_location": "existing", "base_import": "my_app.models:Base"}

BAD_ANSWERS: list[tuple[str, Any, dict[str, Any], str]] = [
    ("project_name", "", {}, "type a name"),
    ("project_name", " \n\t", {}, "type a name"),
    ("project_name", "a\x00b", {}, "control character"),
    ("package_name", "class", {}, "Python keyword"),
    ("package_name", "None", {}, "Python keyword"),
    ("package_name", "my-app", {}, "letters, digits and underscores"),
    ("package_name", "1app", {}, "letters, digits and underscores"),
    ("package_name", "", {}, "letters, digits and underscores"),
    ("package_name", "my app", {}, "letters, digits and underscores"),
    ("package_name", "app\n", {}, "letters, digits and underscores"),
    ("package_name", "../app", {}, "letters, digits and underscores"),
    ("package_name", "a.b", {}, "letters, digits and underscores"),
    ("package_name", "application_" * 4, {}, "letters, digits and underscores"),
    ("package_name", "json", {}, "would hide the module"),
    ("package_name", "Alembic", {}, "would hide the module"),
    ("package_name", "sqlalchemy", {}, "would hide the module"),
    ("package_name", "migrations", {}, "would hide the module"),
    ("package_name", "asyncpg", {}, "would hide the module"),
    (
        "base_location",
        "elsewhere",
        {},
        "'elsewhere' is not in ['models', 'module', 'existing']",
    ),
    *[
        ("base_import", answer, EXISTING, "with a colon between them")
        for answer in [
            *(
                "",
                "my_app",
                "my_app.models",
                "my_app:",
                ":Base",
                "a b:Base",
                "1app:Base",
            ),
            *("my-app:Base", "my_app:Base()", "my_app:Base\n", "..app:Base"),
        ]
    ],
    ("base_import", "my_app.class:Base", EXISTING, "class is a Python keyword"),
    ("source_dir", "lib", EXISTING, "'lib' is not in ['src', 'root']"),
    *[
        ("version_table", answer, EXISTING, "write table or schema.table")
        for answer in ["", "a b", "a.b.c", "a;drop", "a\n", "1a"]
    ],
    *[
        ("migrations_dir", answer, EXISTING, "name a folder below alembic.ini")
        for answer in ["", "/etc", "..", "a/../b", "a//b", "a/", "my migrations"]
    ],
    ("database", "oracle", {}, "'oracle' is not in"),
    ("driver", "asyncpg", {}, "'asyncpg' is not in ['pysqlite']"),
    ("driver", "asyncpg", {"async_engine": True}, "'asyncpg' is not in ['aiosqlite']"),
    ("example", "zoo", {}, "'zoo' is not in"),
    ("ci", "jenkins", {}, "'jenkins' is not in"),
    ("migrations_dir", "a/b", {}, "without slashes"),
    ("migrations_dir", "a\\b", {}, "without slashes"),
    ("migrations_dir", "..", {}, "without slashes"),
    ("migrations_dir", ".", {}, "without slashes"),
    ("migrations_dir", "", {}, "without slashes"),
    ("migrations_dir", "my migrations", {}, "without slashes"),
    ("migrations_dir", "import", {}, "Python keyword"),
    ("migrations_dir", "my_app", {}, "another my_app already"),
    ("migrations_dir", "My_App", {}, "another My_App already"),
    ("migrations_dir", "src", {}, "another src already"),
    (
        "migrations_dir",
        "models",
        {"migrations_in_package": True},
        "another models already",
    ),
    ("database_url", "", {}, "no database URL"),
    ("database_url", "nonsense", {}, "no database URL"),
    ("database_url", " sqlite:///app.db", {}, "no database URL"),
    ("database_url", "sqlite:///a.db\n[post_write_hooks]", {}, "no database URL"),
    ("database_url", "sqlite:///a'b.db", {}, "no database URL"),
    (
        "database_url",
        "postgresql+psycopg://u:p@localhost:port/x",
        POSTGRESQL,
        "no database URL",
    ),
    (
        "database_url",
        "postgresql+psycopg://u:p@localhost:65536/x",
        POSTGRESQL,
        "no database URL",
    ),
    (
        "database_url",
        "postgresql+psycopg://u:p@ss@localhost/x",
        POSTGRESQL,
        "no database URL",
    ),
    (
        "database_url",
        "postgresql+psycopg://u:100%@localhost/x",
        POSTGRESQL,
        "no database URL",
    ),
    (
        "database_url",
        "postgresql+psycopg://localhost/x",
        {},
        "start it with sqlite+pysqlite://",
    ),
    (
        "database_url",
        "sqlite+aiosqlite:///a.db",
        {},
        "start it with sqlite+pysqlite://",
    ),
    (
        "database_url",
        "sqlite:///a.db",
        {"async_engine": True},
        "start it with sqlite+aiosqlite://",
    ),
    (
        "database_url",
        "postgresql+asyncpg://localhost/x",
        POSTGRESQL,
        "start it with postgresql+psycopg://",
    ),
    (
        "database_url",
        "mysql+pymysql://localhost/x",
        {"database": "mariadb"},
        "start it with mariadb+pymysql://",
    ),
    (
        "database_url",
        "mysql://localhost/x",
        {"database": "mysql"},
        "start it with mysql+pymysql://",
    ),
    ("database_url", "sqlite://", {}, "name a file"),
    ("database_url", "sqlite:///", {}, "name a file"),
    ("database_url", "sqlite:///:memory:", {}, "name a file"),
    ("database_url", "sqlite:///file:x?mode=memory&uri=true", {}, "name a file"),
    ("database_url", "sqlite://host/a.db", {}, "name a file"),
    ("database_url", "postgresql+psycopg://localhost", POSTGRESQL, "names no database"),
    (
        "database_url",
        "postgresql+psycopg://u@localhost/",
        POSTGRESQL,
        "names no database",
    ),
    *[
        (
            "database_url",
            f"postgresql+psycopg://{rest}",
            POSTGRESQL,
            "leave the password",
        )
        for rest in [
            "u:s3cret@db.example.com/x",
            "u:s3cret@10.0.0.1:5432/x",
            "u:s3cret@localhost.example.com/x",
            "u:s3cret@[2001:db8::1]/x",
            "u:s3cret@/x?host=db.example.com",
            "u:s3cret@/x?host=localhost&host=db.example.com",
            "u:s3cret@/x?host=localhost,db.example.com",
            "u:s3cret@localhost/x?hostaddr=10.0.0.1",
            "u@db.example.com/x?password=s3cret",
            "u@db.example.com/x?sslmode=require&sslpassword=s3cret",
            "u@db.example.com/x?pass%77ord=s3cret",
        ]
    ],
    (
        "compose",
        True,
        POSTGRESQL | {"database_url": "postgresql+psycopg://localhost/x"},
        "or answer no",
    ),
    (
        "compose",
        True,
        {"database": "mariadb", "database_url": "mariadb+pymysql://ada@localhost/x"},
        "or answer no",
    ),
]

GOOD_URLS = [
    {"database_url": "sqlite:///app.db"},
    {"database_url": "sqlite+pysqlite:////var/lib/app data/100%.db"},
    {"database_url": "sqlite+pysqlite:///C:\\data\\app.db"},
    {"database_url": "sqlite+pysqlite:///file:app.db?cache=shared&uri=true"},
    *[
        POSTGRESQL | {"database_url": url}
        for url in [
            "postgresql://localhost/x",
            "postgresql+psycopg://u:p@localhost/x",
            "postgresql+psycopg://u:p@127.0.0.1:6543/x?sslmode=disable",
            "postgresql+psycopg://u:p@[::1]:5432/x",
            "postgresql+psycopg://u:p%40s%2Fs%25@db/x",
            "postgresql+psycopg://u:p@/x",
            "postgresql+psycopg://u:p@/x?host=/var/run/postgresql",
            "postgresql+psycopg://u:p@/x?host=%2Fvar%2Frun%2Fpostgresql",
            "postgresql+psycopg://u@db.example.com/x?sslmode=verify-full&passfile=/run/pg",
            "postgresql+psycopg://u:@db.example.com/x",
            "postgresql+psycopg://u@/x?host=a.example.com&host=b.example.com",
            "postgresql+psycopg://ü:ß@localhost/größe",
        ]
    ],
    {
        "database": "mysql",
        "database_url": "mysql+pymysql://u:p@/x?unix_socket=/run/mysqld/mysqld.sock",
    },
    {
        "database": "mariadb",
        "database_url": "mariadb+pymysql://u:p@localhost/x?charset=utf8mb4",
    },
]


@pytest.mark.parametrize(("question", "answer", "others", "message"), BAD_ANSWERS)
def test_bad_answer_is_refused_before_anything_is_written(
    template: Path,
    tmp_path: Path,
    question: str,
    answer: Any,
    others: dict[str, Any],
    message: str,
) -> None:
    target = tmp_path / "project"
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        copier.run_copy(
            str(template),
            target,
            data=others | {question: answer},
            defaults=True,
            quiet=True,
        )
    line = str(error.value)
    assert f"'{question}'" in line
    assert "\n" not in line
    assert "s3cret" not in line
    assert not target.exists()


def test_base_import_has_no_default(template: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='"base_import" is required'):
        copier.run_copy(
            str(template),
            tmp_path / "project",
            data={"base_location": "existing"},
            defaults=True,
            quiet=True,
        )
    assert not (tmp_path / "project").exists()


def test_bad_answer_leaves_an_existing_folder_alone(
    template: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="Python keyword"):
        copier.run_copy(
            str(template), tmp_path, data={"package_name": "class"}, defaults=True
        )
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_bad_answer_on_the_command_line_ends_with_our_line(
    template: Path, tmp_path: Path
) -> None:
    output = run(
        script("copier"),
        *(
            "copy",
            "--defaults",
            "--data",
            "package_name=class",
            template,
            tmp_path / "project",
        ),
        cwd=tmp_path,
        fails=True,
    )
    assert output.splitlines()[-1] == (
        "ValueError: Validation error for question 'package_name': "
        "class is a Python keyword; take another name, for example class_app"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect needs a pseudo-terminal")
def test_bad_answer_is_refused_at_the_prompt(template: Path, tmp_path: Path) -> None:
    import pexpect

    target = tmp_path / "project"
    child = pexpect.spawn(
        str(script("copier")),
        ["copy", str(template), str(target)],
        dimensions=(40, 200),
        encoding="utf-8",
        timeout=60,
    )
    for question in [
        "Where does the declarative Base live",
        "What is the project called",
    ]:
        child.expect(question)
        child.send("\r")
    child.expect("Name of the package to import")
    child.send("\x15class\r")  # control-U empties the line
    child.expect("class is a Python keyword")
    child.close(force=True)
    assert not target.exists()


@pytest.mark.parametrize(
    "answers", GOOD_URLS, ids=lambda answers: answers["database_url"]
)
def test_good_url_lands_everywhere_as_it_is(
    render: Render, answers: dict[str, Any]
) -> None:
    project = render(**answers)
    assert_url_landed(project, answers["database_url"])


def assert_url_landed(project: Path, url: str) -> None:
    make_url(url).get_dialect()
    assert f"'{url}'" in (project / ".env.example").read_text(encoding="utf-8")
    assert read_ini_url(project) == url
    engine = ast.parse((project / "src/my_app/engine.py").read_text(encoding="utf-8"))
    strings = {
        node.value for node in ast.walk(engine) if isinstance(node, ast.Constant)
    }
    assert url in strings


def read_ini_url(project: Path) -> str:
    ini = configparser.ConfigParser({"here": str(project).replace("%", "%%")})
    ini.read(project / "alembic.ini", encoding="utf-8")
    return ini["alembic"]["sqlalchemy.url"]


@pytest.mark.parametrize("variant", PAIRWISE, ids=str)
def test_recorded_answers_are_the_given_ones(render: Render, variant: Variant) -> None:
    recorded = yaml.safe_load((render(variant) / ".copier-answers.yml").read_text())
    asked = {key: value for key, value in recorded.items() if not key.startswith("_")}
    free_text = {"package_name", "migrations_dir", "database_url"}
    assert {key: asked[key] for key in asked.keys() - free_text} == variant.answers
    assert asked.keys() >= free_text


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_defaults_work_for_every_engine(
    template: Path, tmp_path: Path, engine: Engine
) -> None:
    answers = Variant(engine).answers
    answers.pop("compose", None)
    project = tmp_path / "project"
    copier.run_copy(str(template), project, data=answers, defaults=True, quiet=True)
    url = make_url(read_ini_url(project))
    assert url.drivername == f"{engine.database}+{engine.driver}"
    assert url.get_dialect().is_async == (
        engine.async_engine and engine.driver != "psycopg"
    )
    assert (project / "compose.yaml").exists() == engine.server


def test_names_that_are_taken_are_complete() -> None:
    questions = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    assert sorted(yaml.safe_load(questions["keywords"]["default"])) == sorted(
        keyword.kwlist
    )
    taken = set(yaml.safe_load(questions["taken_names"]["default"]))
    standard_library = {
        name for name in sys.stdlib_module_names if not name.startswith("_")
    }
    assert standard_library <= taken


@pytest.mark.parametrize(
    ("project_name", "package_name"),
    [
        ("My App", "my_app"),
        ("  Déjà-vu!  ", "d_j_vu"),
        ("2048", "app_2048"),
        ("class", "app_class"),
        ("Alembic", "app_alembic"),
        ("приложение", "app"),
        ("🦸", "app"),
        ("a" * 100, "a" * 36),
    ],
)
def test_default_package_name_fits_any_project_name(
    render: Render, project_name: str, package_name: str
) -> None:
    recorded = yaml.safe_load(
        (render(project_name=project_name) / ".copier-answers.yml").read_text(
            encoding="utf-8"
        )
    )
    assert recorded["package_name"] == package_name


def test_long_names_stay_formatted(render: Render) -> None:
    name = "a" * 40
    for base_location in ["models", "module"]:
        project = render(
            Variant(base_location=base_location, example="tour"),
            package_name=name,
            migrations_dir="m" * 40,
        )
        run(script("ruff"), "format", "--check", cwd=project)
        run(script("ruff"), "check", cwd=project)


SLOW = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def copy_or_line(template: Path, target: Path, answers: dict[str, Any]) -> str:
    """Render and return nothing, or return the line that refuses the answers."""
    try:
        copier.run_copy(str(template), target, data=answers, defaults=True, quiet=True)
    except ValueError as error:
        line = str(error)
        assert re.match("Validation error for question '\\w+': .", line)
        assert "\n" not in line
        assert not target.exists()
        return line
    return ""


@settings(SLOW, max_examples=60)
@given(name=st.text(min_size=1))
@example(name="{{ 7 * 7 }} {% raw %} {# #}")
@example(name='"""\\" \'\'\' \\N{DASH} \\')
@example(name="100% %(here)s %%")
@example(name="two\nlines\r\n# [and] a `heading` <b>&amp;</b>")
@example(name="- yaml: [*a, &b, !c] # |")
@example(name="🦸‍♀️ Ünïcødé \u2028\u0085 日本語")
def test_any_project_name_gives_a_project_or_a_line(template: Path, name: str) -> None:
    with TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        if copy_or_line(template, project, {"project_name": name}):
            assert not name.split() or re.search("[\x00-\x1f\x7f]", name)
            return
        title = " ".join(name.split())
        pyproject = tomllib.loads(
            (project / "pyproject.toml").read_text(encoding="utf-8")
        )
        assert pyproject["project"]["description"] == title
        heading = (project / "README.md").read_text(encoding="utf-8").split("\n")[0]
        assert re.sub(r"\\(.)", r"\1", heading) == "# " + re.sub(
            r"\\(.)", r"\1", escaped(title)
        )
        recorded = yaml.safe_load(
            (project / ".copier-answers.yml").read_text(encoding="utf-8")
        )
        assert recorded["project_name"] == name
        alembic(project, "upgrade", "head")


def escaped(title: str) -> str:
    """Escape what Markdown would read, the plain way: every ASCII punctuation character."""
    return re.sub(r"([\\`*_\[\]<>&#~|$])", r"\\\1", title)


@settings(SLOW, max_examples=60)
@given(
    package_name=st.one_of(
        st.text(), st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
    ),
    migrations_dir=st.one_of(
        st.text(), st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
    ),
)
def test_any_names_give_a_project_or_a_line(
    template: Path, package_name: str, migrations_dir: str
) -> None:
    with TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        answers = {"package_name": package_name, "migrations_dir": migrations_dir}
        if not copy_or_line(template, project, answers):
            alembic(project, "upgrade", "head")
            assert os.path.exists(project / f"{package_name}.db")


URL_PART = st.text("abz09._-~%:/?#[]@!$&'()*+,;= é\"\\", max_size=6)


@settings(SLOW, max_examples=150)
@given(
    url=st.builds(
        "postgresql+psycopg://{}{}{}{}".format,
        st.one_of(st.just(""), URL_PART.map("{}@".format), st.just("u:p@")),
        st.one_of(
            st.sampled_from(["localhost", "[::1]", "db.example.com", ""]), URL_PART
        ),
        st.one_of(st.just("/x"), URL_PART.map("/{}".format)),
        st.one_of(st.just(""), URL_PART.map("?{}".format)),
    )
)
def test_accepted_url_means_the_same_to_sqlalchemy(template: Path, url: str) -> None:
    with TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        if copy_or_line(template, project, POSTGRESQL | {"database_url": url}):
            return
        assert_url_landed(project, url)
        parsed = make_url(url)
        if parsed.password:
            assert parsed.host in {None, "localhost", "::1", "127.0.0.1", "db"}
