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
from jinja2 import Environment
from sqlalchemy import make_url

from support.commands import run, script
from support.history import NOW, copy, update
from support.projects import Render, alembic
from support.releases import ROOT
from support.variants import ENGINES, PAIRWISE, SEVERAL, Engine, Variant

POSTGRESQL = {"database": "postgresql"}
EXISTING = {"base_location": "existing", "base_import": "my_app.models:Base"}

BAD_ANSWERS: list[tuple[str, Any, dict[str, Any], str]] = [
    ("project_name", "", {}, "type a name"),
    ("project_name", " \n\t", {}, "type a name"),
    ("project_name", "a\x00b", {}, 'remove the control character "\\u0000"'),
    ("package_name", "class", {}, "such as class_app; class is a Python keyword"),
    ("package_name", "None", {}, "such as None_app; None is a Python keyword"),
    (
        "package_name",
        "_app",
        {},
        "start with a letter, end without _: my_app, not _app",
    ),
    (
        "package_name",
        "app_",
        {},
        "start with a letter, end without _: my_app, not app_",
    ),
    ("package_name", "my-app", {}, "use 1 to 40 ASCII letters, digits and _"),
    (
        "package_name",
        "1app",
        {},
        "start with a letter, end without _: my_app, not 1app",
    ),
    ("package_name", "", {}, "use 1 to 40 ASCII letters, digits and _"),
    ("package_name", "my app", {}, "use 1 to 40 ASCII letters, digits and _"),
    ("package_name", "app\n", {}, "use 1 to 40 ASCII letters, digits and _"),
    ("package_name", "../app", {}, "use 1 to 40 ASCII letters, digits and _"),
    ("package_name", "a.b", {}, "use 1 to 40 ASCII letters, digits and _"),
    ("package_name", "application_" * 4, {}, "use 1 to 40 ASCII letters, digits and _"),
    ("package_name", "json", {}, "would hide a module"),
    ("package_name", "Alembic", {}, "would hide a module"),
    ("package_name", "sqlalchemy", {}, "would hide a module"),
    ("package_name", "migrations", {}, "would hide a module"),
    ("package_name", "asyncpg", {}, "would hide a module"),
    (
        "base_location",
        "elsewhere",
        {},
        "'elsewhere' is not in ['models', 'module', 'existing']",
    ),
    *[
        ("base_import", answer, EXISTING, "write module or module:Name, such as")
        for answer in [
            *("", "my_app:", "my_app.", ":Base", "a b:Base", "a b", "1app:Base"),
            *(
                "my-app:Base",
                "my_app:Base()",
                "my_app:Base\n",
                "my_app\n",
                "..app:Base",
            ),
        ]
    ],
    (
        "base_import",
        "my_app.class:Base",
        EXISTING,
        "another name: class is a Python keyword",
    ),
    ("source_dir", "lib", EXISTING, "'lib' is not in ['src', 'root']"),
    *[
        ("version_table", answer, EXISTING, "write table or schema.table")
        for answer in ["", "a b", "a.b.c", "a;drop", "a\n", "1a"]
    ],
    *[
        ("migrations_dir", answer, EXISTING, "name a folder relative to alembic.ini")
        for answer in ["", "/etc", "..", "a/../b", "a//b", "a/", "my migrations"]
    ],
    # Names of our own modules, which one of these would hide or be hidden by.
    ("package_name", "migration_kit", {}, "would hide a module"),
    ("package_name", "Migration_Kit", {}, "would hide a module"),
    ("package_name", "env", {}, "would hide a module"),
    *[
        ("migrations_dir", answer, others, f"{answer.split('/')[0]} is already taken")
        for answer in ["migration_kit", "env"]
        for others in [{}, EXISTING]
    ],
    (
        "migrations_dir",
        "migration_kit/alembic",
        EXISTING,
        "migration_kit is already taken",
    ),
    (
        "base_import",
        "migration_kit.models:Base",
        EXISTING,
        "rename the package migration_kit",
    ),
    ("base_import", "env:metadata", EXISTING, "rename the package env"),
    ("database", "oracle", {}, "'oracle' is not in"),
    ("driver", "asyncpg", {}, "'asyncpg' is not in ['pysqlite']"),
    ("driver", "asyncpg", {"async_engine": True}, "'asyncpg' is not in ['aiosqlite']"),
    ("example", "zoo", {}, "'zoo' is not in"),
    ("ci", "jenkins", {}, "'jenkins' is not in"),
    ("tenants", "table", {}, "'table' is not in"),
    ("tenants", "schema", {"database": "mysql"}, "use database: only PostgreSQL"),
    *[
        (
            "tenants",
            answer,
            others | POSTGRESQL,
            f"the migrations import another {name}",
        )
        for answer, others, name in [
            ("schema", {"package_name": "tenants"}, "tenants"),
            ("database", {"package_name": "Rich"}, "rich"),
            ("database", EXISTING | {"base_import": "tenants.a:B"}, "tenants"),
        ]
    ],
    ("features", ["lnt"], {}, "'lnt' is not in ['autogenerate', 'branches',"),
    ("features", ["renames"], {}, "add autogenerate: renames needs it"),
    ("features", ["squash"], {}, "add autogenerate and testing: squash needs them"),
    ("features", ["squash", "autogenerate"], {}, "add testing: squash needs it"),
    ("features", ["squash", "renames"], {}, "add autogenerate: renames needs it"),
    ("kit", "linked", {}, "'linked' is not in"),
    ("kit", "installed", {}, "answer copied: pip cannot install"),
    ("migrations_dir", "a/b", {}, "name one folder"),
    ("migrations_dir", "a\\b", {}, "name one folder"),
    ("migrations_dir", "..", {}, "name one folder"),
    ("migrations_dir", ".", {}, "name one folder"),
    ("migrations_dir", "", {}, "name one folder"),
    ("migrations_dir", "my migrations", {}, "name one folder"),
    ("migrations_dir", "import", {}, "import is a Python keyword"),
    ("migrations_dir", "my_app", {}, "my_app is already taken"),
    ("migrations_dir", "My_App", {}, "My_App is already taken"),
    ("migrations_dir", "src", {}, "src is already taken"),
    (
        "migrations_dir",
        "models",
        {"migrations_in_package": True},
        "models is already taken",
    ),
    ("database_url", "", {}, "write it like"),
    ("database_url", "nonsense", {}, "write it like"),
    ("database_url", " sqlite:///app.db", {}, "write it like"),
    ("database_url", "sqlite:///a.db\n[post_write_hooks]", {}, "write it like"),
    ("database_url", "sqlite:///a'b.db", {}, "write it like"),
    (
        "database_url",
        "postgresql+psycopg://u:p@localhost:port/x",
        POSTGRESQL,
        "write it like",
    ),
    (
        "database_url",
        "postgresql+psycopg://u:p@localhost:65536/x",
        POSTGRESQL,
        "write it like",
    ),
    (
        "database_url",
        "postgresql+psycopg://u:p@ss@localhost/x",
        POSTGRESQL,
        "write it like",
    ),
    # SQLAlchemy takes what stands between a colon and an @ for the password.
    ("database_url", "postgresql+psycopg://@[::1]/@0", POSTGRESQL, "write it like"),
    (
        "database_url",
        "postgresql+psycopg://u@localhost:5432/x?options=a@b",
        POSTGRESQL,
        "write it like",
    ),
    (
        "database_url",
        "postgresql+psycopg://u:100%@localhost/x",
        POSTGRESQL,
        "write it like",
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
    (
        "database_url",
        "postgresql+psycopg://localhost",
        POSTGRESQL,
        "end it with a database",
    ),
    (
        "database_url",
        "postgresql+psycopg://u@localhost/",
        POSTGRESQL,
        "end it with a database",
    ),
    *[
        (
            "database_url",
            f"postgresql+psycopg://{rest}",
            POSTGRESQL,
            "remove the password",
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
        "answer no, or add user:password@",
    ),
    (
        "compose",
        True,
        {"database": "mariadb", "database_url": "mariadb+pymysql://ada@localhost/x"},
        "answer no, or add user:password@",
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
    target = tmp_path / "my-app"
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
        "use another name, such as class_app; class is a Python keyword"
    )


def answer_at_a_prompt(template: Path, target: Path, **env: str) -> Any:
    """Start `copier copy` in a terminal, and return it."""
    import pexpect

    return pexpect.spawn(
        str(script("copier")),
        ["copy", str(template), str(target)],
        dimensions=(60, 200),
        encoding="utf-8",
        timeout=60,
        # Each question would wait a second for where the cursor is.
        env=os.environ | {"PROMPT_TOOLKIT_NO_CPR": "1"} | env,
    )


DOWN = "\x1b[B"


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect needs a pseudo-terminal")
def test_features_that_do_not_fit_are_refused_at_the_prompt(
    template: Path, tmp_path: Path
) -> None:
    """Space takes one out or in; the first one is what renames needs."""
    target = tmp_path / "project"
    # The line below a list is drawn only where the terminal says where the cursor is.
    child = answer_at_a_prompt(template, target, PROMPT_TOOLKIT_NO_CPR="")
    here = "\x1b[1;1R"
    for question in [
        *("New project or existing one", "What is the project called"),
        *("What is the package called", "Which database", "use asyncio"),
        *("develop against", "Any more databases", "your tenants"),
    ]:
        child.expect(question)
        child.send(f"{here}\r")
    child.expect("Which features")
    child.send(f"{here} {DOWN * 4} \r")
    child.expect("add autogenerate: renames needs it")
    child.send(" \r")
    child.expect("Where should the kit")
    child.close(force=True)


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect needs a pseudo-terminal")
def test_bad_answer_is_refused_at_the_prompt(template: Path, tmp_path: Path) -> None:
    target = tmp_path / "project"
    child = answer_at_a_prompt(template, target)
    for question in [
        "New project or existing one",
        "What is the project called",
    ]:
        child.expect(question)
        child.send("\r")
    child.expect("What is the package called")
    child.send("\x15class\r")  # control-U empties the line
    child.expect("use another name, such as class_app")
    child.close(force=True)
    assert not target.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect needs a pseudo-terminal")
@pytest.mark.parametrize(
    "typed",
    [
        {},
        {
            "database": f"{DOWN}\r",
            "async_engine": "y",
            "more_databases": "\x15{analytics: 'sqlite:///a.db'}\r",
            "tenants": f"{DOWN}\r",
            "features": f"{DOWN * 3} \r",
            "ci": f"{DOWN}\r",
            "agents": f"{DOWN}\r",
        },
        {
            "base_location": f"{DOWN}{DOWN}\r",
            "base_import": "shop.models:Base\r",
            "more_databases": "\x15analytics: 'sqlite:///a.db'\r",
        },
    ],
    ids=["nothing", "answers", "existing"],
)
def test_conversation_ends_with_a_project(
    template: Path, tmp_path: Path, typed: dict[str, str]
) -> None:
    """With `--defaults` no question is rendered, so a mistake in one would not show."""
    import pexpect

    target = tmp_path / "project"
    child = answer_at_a_prompt(template, target)
    conversation = (template / "copier.yml").read_text(encoding="utf-8")
    questions = {
        name: re.escape(question["help"].splitlines()[0].partition("{{")[0])
        for name, question in next(yaml.safe_load_all(conversation)).items()
        if "help" in question
    }
    asked = []
    while (number := child.expect([pexpect.EOF, *questions.values()])) > 0:
        name = list(questions)[number - 1]
        del questions[name]  # it is drawn again when it is answered
        child.send(typed.get(name, "\r"))
        asked.append(name)
    assert typed.keys() <= set(asked), child.before
    recorded = yaml.safe_load((target / ".copier-answers.yml").read_text())
    assert set(asked) <= recorded.keys()
    assert bool(recorded["more_databases"]) == ("more_databases" in typed)
    assert recorded["tenants"] == ("schema" if "tenants" in typed else "none")
    assert ("lint" in recorded["features"]) == ("features" in typed)
    assert recorded["agents"] == ("agents" in typed)
    if "base_import" in typed:
        assert recorded["more_base_imports"] == {"analytics": "shop.analytics"}


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


@pytest.mark.parametrize("variant", [*PAIRWISE, *SEVERAL], ids=str)
def test_recorded_answers_are_the_given_ones(render: Render, variant: Variant) -> None:
    recorded = yaml.safe_load((render(variant) / ".copier-answers.yml").read_text())
    asked = {key: value for key, value in recorded.items() if not key.startswith("_")}
    free_text = {"package_name", "migrations_dir", "database_url"}
    if variant.existing:
        free_text = free_text - {"package_name"} | {"source_dir", "version_table"}
    given = {"more_databases": {}} | variant.answers
    assert {key: asked[key] for key in asked.keys() - free_text} == given
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
    source = (ROOT / "questions" / "names.jinja").read_text(encoding="utf-8")
    names = Environment(trim_blocks=True).from_string(source).module
    assert sorted(names.KEYWORDS) == sorted(keyword.kwlist)  # type: ignore[attr-defined]
    standard_library = {
        name for name in sys.stdlib_module_names if not name.startswith("_")
    }
    taken = set(names.TAKEN)  # type: ignore[attr-defined]
    assert standard_library | set(names.OURS) <= taken  # type: ignore[attr-defined]


def test_questions_fit_into_80_columns() -> None:
    text = (ROOT / "copier.yml").read_text(encoding="utf-8")
    for name, question in next(yaml.safe_load_all(text)).items():
        if not name.startswith("_"):
            lines = question.get("help", "").splitlines()
            if isinstance(question.get("choices"), dict):
                lines += question["choices"]
            assert [line for line in lines if len(line) > 75] == []


@pytest.mark.parametrize(
    ("folder", "project_name", "package_name"),
    [
        ("bazaar", "Bazaar", "bazaar"),
        ("my-app", "My App", "my_app"),
        ("my.corner_shop", "My Corner Shop", "my_corner_shop"),
        ("aGoodName", "AGoodName", "agoodname"),
        ("2048", "2048", "app_2048"),
        ("été", "Été", "t"),
        ("migration_kit", "Migration Kit", "app_migration_kit"),
        ("-_-", "My App", "my_app"),
        ("a\x01b", "My App", "my_app"),
    ],
)
def test_project_is_called_like_its_folder(
    template: Path, tmp_path: Path, folder: str, project_name: str, package_name: str
) -> None:
    project = tmp_path / folder
    copier.run_copy(str(template), project, defaults=True, quiet=True)
    recorded = read_answers(project)
    assert recorded["project_name"] == project_name
    assert recorded["package_name"] == package_name


def test_project_is_called_like_the_folder_one_is_in(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "bazaar"
    project.mkdir()
    monkeypatch.chdir(project)
    copier.run_copy(str(template), ".", defaults=True, quiet=True)
    assert read_answers(project)["project_name"] == "Bazaar"


def read_answers(project: Path) -> dict[str, Any]:
    text = (project / ".copier-answers.yml").read_text(encoding="utf-8")
    answers: dict[str, Any] = yaml.safe_load(text)
    return answers


def test_template_in_a_folder_is_recorded_with_its_whole_path(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(template)
    copier.run_copy(".", tmp_path / "project", defaults=True, quiet=True)
    recorded = read_answers(tmp_path / "project")["_src_path"]
    assert recorded == str(template.resolve())


def test_template_at_an_address_is_recorded_as_it_is(
    history: Path, tmp_path: Path
) -> None:
    address = f"git+{history.as_uri()}"
    copier.run_copy(
        address, tmp_path / "project", vcs_ref=NOW, defaults=True, quiet=True
    )
    assert read_answers(tmp_path / "project")["_src_path"] == address


ASYNC_POSTGRESQL = POSTGRESQL | {"async_engine": True}
REST = "://ada:s3@localhost:6543/shop?application_name=shop"
SWITCHES: list[tuple[dict[str, Any], str, dict[str, Any], str]] = [
    (
        POSTGRESQL,
        f"postgresql+psycopg{REST}",
        {"async_engine": True},
        f"postgresql+asyncpg{REST}",
    ),
    (
        POSTGRESQL,
        f"postgresql{REST}",
        {"async_engine": True},
        f"postgresql+asyncpg{REST}",
    ),
    (
        ASYNC_POSTGRESQL,
        f"postgresql+asyncpg{REST}",
        {"async_engine": False},
        f"postgresql+psycopg{REST}",
    ),
    (
        ASYNC_POSTGRESQL,
        f"postgresql+asyncpg{REST}",
        {"driver": "psycopg"},
        f"postgresql+psycopg{REST}",
    ),
    (
        {"database": "mysql"},
        f"mysql+pymysql{REST}",
        {"database": "mariadb"},
        f"mariadb+pymysql{REST}",
    ),
    (
        {"database": "mariadb", "async_engine": True},
        f"mariadb+asyncmy{REST}",
        {"database": "mysql", "driver": "aiomysql"},
        f"mysql+aiomysql{REST}",
    ),
    (
        {},
        "sqlite:////var/lib/shop.db",
        {"async_engine": True},
        "sqlite+aiosqlite:////var/lib/shop.db",
    ),
    (
        POSTGRESQL,
        f"postgresql+psycopg{REST}",
        {"project_name": "Hall"},
        f"postgresql+psycopg{REST}",
    ),
    (
        POSTGRESQL,
        f"postgresql+psycopg{REST}",
        {"database": "mysql"},
        "mysql+pymysql://my_app:my_app@localhost:3306/my_app",
    ),
]


@pytest.mark.parametrize(
    ("ref", "answers", "url", "switch", "kept"),
    [("v2.4.0", *SWITCHES[0]), *[(NOW, *switch) for switch in SWITCHES]],
)
def test_switch_keeps_a_url_as_far_as_it_fits(
    history: Path,
    tmp_path: Path,
    ref: str,
    answers: dict[str, Any],
    url: str,
    switch: dict[str, Any],
    kept: str,
) -> None:
    project = tmp_path / "my-app"
    copy(history, project, answers | {"database_url": url}, ref)
    update(project, NOW, **switch)
    assert read_answers(project)["database_url"] == kept
    assert read_ini_url(project) == kept


def test_switch_of_a_default_url_gives_the_new_default(
    history: Path, tmp_path: Path
) -> None:
    project = copy(history, tmp_path / "my-app", POSTGRESQL)
    update(project, async_engine=True)
    url = "postgresql+asyncpg://my_app:my_app@localhost:5432/my_app"
    assert read_ini_url(project) == url


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect needs a pseudo-terminal")
def test_prompt_offers_no_answer_that_would_lose_a_file(
    history: Path, tmp_path: Path
) -> None:
    import pexpect

    project = copy(history, tmp_path / "my-app", {})
    child = pexpect.spawn(
        str(script("copier")),
        ["update", f"--vcs-ref={NOW}", str(project)],
        dimensions=(40, 200),
        encoding="utf-8",
        timeout=60,
    )
    child.expect("New project or existing one")
    child.expect("git mv src/my_app/models/base.py src/my_app/base.py")
    child.close(force=True)


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
            more_databases={
                "b" * 15: "sqlite:///b.db",
                "c" * 15: "sqlite+aiosqlite:///c.db",
            },
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


@settings(SLOW, max_examples=25)
@given(name=st.text(min_size=1))
@example(name="{{ 7 * 7 }} {% raw %} {# #}")
@example(name='"""\\" \'\'\' \\N{DASH} \\')
@example(name="100% %(here)s %%")
@example(name="two\nlines\r\n# [and] a `heading` <b>&amp;</b>")
@example(name="- yaml: [*a, &b, !c] # |")
@example(name="🦸‍♀️ Ünïcødé \u2028 日本語")
@example(name="0\x85")
def test_any_project_name_gives_a_project_or_a_line(template: Path, name: str) -> None:
    with TemporaryDirectory() as folder:
        project = Path(folder) / "my-app"
        if copy_or_line(template, project, {"project_name": name}):
            assert not name.split() or re.search("[\x00-\x1f\x7f\x85]", name)
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


@settings(SLOW, max_examples=25)
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
        project = Path(folder) / "my-app"
        answers = {"package_name": package_name, "migrations_dir": migrations_dir}
        if not copy_or_line(template, project, answers):
            alembic(project, "upgrade", "head")
            assert os.path.exists(project / f"{package_name}.db")


URL_PART = st.text("abz09._-~%:/?#[]@!$&'()*+,;= é\"\\", max_size=6)


@settings(SLOW, max_examples=60)
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
        project = Path(folder) / "my-app"
        if copy_or_line(template, project, POSTGRESQL | {"database_url": url}):
            return
        assert_url_landed(project, url)
        parsed = make_url(url)
        if parsed.password:
            # Commas alone are hosts without a name: the socket of this machine.
            host = (parsed.host or "").strip(",")
            assert host in {"", "localhost", "::1", "127.0.0.1", "db"}
