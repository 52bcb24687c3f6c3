"""The starter's engine makes the same project as `copier copy`, here and in a browser."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import copier
import pytest
from playwright.sync_api import Browser, Page, Route

from starter.build import check_types
from starter.engine import Engine, Render, UnknownWidget
from support import history
from support.commands import run
from support.projects import alembic
from support.site import WORK, asset
from support.variants import EXISTING, PAIRWISE, SEVERAL, TENANTS

TITLES = [
    'Acme "Orders"',
    "It's a {{ project }} {% raw %} {# not a comment #}",
    "Größe 日本 🦉 <img src=x onerror=alert(1)>",
    "back\\slash `tick` $HOME %PATH% & | ; # ~",
    "yes",
    "1.0",
    "null",
    "-x",
]
URLS = [
    "postgresql+psycopg://o%27b:p%25%22q@localhost:5433/app",
    "postgresql+psycopg://ada:s%20x@[::1]/a-b.c?application_name=it%27s",
]
GOOD: list[dict[str, Any]] = [
    *(
        variant.answers | {"project_name": title}
        for variant, title in zip(PAIRWISE, cycle(TITLES))
    ),
    *(variant.answers for variant in [*SEVERAL, *TENANTS, *EXISTING[:4]]),
    *({"database": "postgresql", "database_url": url} for url in URLS),
    {"package_name": "Hall_of_2", "migrations_dir": "alembic_"},
    {"features": []},
    {"features": ["autogenerate", "lint", "diagram"], "database": "mariadb"},
    {
        "base_location": "existing",
        "base_import": "hall.tables:db.Model",
        "source_dir": "root",
        "migrations_dir": "hall/alembic",
        "version_table": "own.versions",
    },
]

# An answer that Copier refuses, and others that stand.
POSTGRESQL = {"database": "postgresql"}
BAD: list[tuple[str, Any, dict[str, Any]]] = [
    ("project_name", "", {}),
    ("package_name", "9", {}),
    ("package_name", "class", {"ci": "none"}),
    ("database_url", "sqlite:///x.db", POSTGRESQL),
    ("more_databases", {"analytics": "nonsense"}, {}),
    ("tenants", "schema", {}),
    ("features", ["squash", "testing"], {}),
    ("migrations_dir", "a/b", {}),
]
# An answer to a question that is not asked, or that is among the choices no longer.
STALE: list[tuple[str, Any, dict[str, Any]]] = [
    ("more_databases", ["analytics"], {}),
    ("more_databases", None, {}),
    ("ci", True, {}),
    ("features", ["lint", "offline"], {}),
    ("features", "lint", {}),
    ("features", {"lint": True}, {}),
    ("driver", "asyncpg", {}),
    ("driver", "asyncpg", {"database": "mariadb", "async_engine": True}),
    ("compose", True, {}),
    (
        "compose",
        True,
        POSTGRESQL | {"database_url": "postgresql+psycopg://localhost/x"},
    ),
    ("base_import", "hall.models:Base", {}),
    ("example", "tour", {"base_location": "existing", "base_import": "a.b:C"}),
    ("sqlite", False, {}),
    ("no_such_question", "x", {}),
]
# What is refused or forgotten is one code; the browser gets some of it.
CASES = [
    *GOOD,
    *(others | {name: answer} for name, answer, others in [*BAD[:3], *STALE[:8]]),
    {"kit": "installed", "features": ["autogenerate", "lint"]},
]

# A worker as the page starts it, and what it answers to one request after another.
START = '(name) => { window.engine = new Worker(name, { type: "module" }) }'
ASK = """(requests) => new Promise((resolve, reject) => {
    const responses = [];
    engine.onmessage = ({ data }) => {
        if (["failed", "error"].includes(data.kind)) reject(new Error(data.reason));
        // A text is read by the test much faster than an object.
        if (data.kind === "render") responses.push(JSON.stringify(data.render));
        if (data.kind === "zip") responses.push(data);
        if (responses.length === requests.length) resolve(responses);
    };
    requests.forEach((request, id) => engine.postMessage({ id, ...request }));
})"""

# Of a commit that nobody made.
HASH = "0123456789abcdef0123456789abcdef01234567"

# What only a copy from the address knows.
ORIGIN = ("_commit:", "_src_path:")


@pytest.fixture(scope="module")
def engine(template: Path) -> Engine:
    return Engine(template, "gh:OWNER/copier-alembic", "v1.0.0", HASH)


@pytest.fixture(scope="module")
def worker(browser: Browser, starter: str, tagged: Path) -> Iterator[Page]:
    """A page with nothing but the worker."""
    page = browser.new_page()
    page.goto(starter + asset(tagged.with_name("site"), "default"))
    page.evaluate(START, asset(tagged.with_name("site"), "worker"))
    yield page
    page.close()


def by_copier(
    template: Path, answers: Mapping[str, Any], destination: str
) -> tuple[Any, str]:
    """Return what `copier copy --defaults --data` makes: files with their modes, and what it says."""
    said = io.StringIO()
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("my-app").mkdir()
        with (
            contextlib.chdir("my-app")
            if destination == "."
            else contextlib.nullcontext()
        ):
            with contextlib.redirect_stderr(said):
                copier.run_copy(
                    str(template), destination, data=dict(answers), defaults=True
                )
            project = Path(destination)
            files = {
                path.relative_to(project).as_posix(): (
                    without_origin(path.read_text(encoding="utf-8")),
                    bool(path.stat().st_mode & 0o100),
                )
                for path in project.rglob("*")
                if path.is_file()
            }
    return files, said.getvalue()


def without_origin(text: str) -> str:
    return "".join(
        line for line in text.splitlines(True) if not line.startswith(ORIGIN)
    )


def assert_same(render: Render, template: Path, answers: Mapping[str, Any]) -> None:
    files = {
        file["path"]: (without_origin(file["text"]), file["executable"])
        for file in render["files"]
    }
    expected, said = by_copier(template, answers, render["destination"])
    assert files == expected
    assert said.rstrip().endswith(render["message"].rstrip())


def given(render: Render) -> set[str]:
    """Return the questions whose answer the page would put on the command line."""
    return {
        state["name"]
        for state in render["questions"]
        if state["touched"] and not state["error"]
    }


@pytest.mark.parametrize("case", range(len(GOOD)))
def test_project_is_the_same(case: int, engine: Engine, template: Path) -> None:
    render = engine.render(GOOD[case])
    assert not [state for state in render["questions"] if state["error"]]
    assert given(render) == set(GOOD[case])
    assert_same(render, template, GOOD[case])


@pytest.mark.parametrize(("name", "answer", "others"), BAD)
def test_refused_answer_is_left_out(
    name: str, answer: Any, others: dict[str, Any], engine: Engine, template: Path
) -> None:
    """The page says what Copier says, and shows the project without that answer."""
    render = engine.render({**others, name: answer})
    [state] = [state for state in render["questions"] if state["name"] == name]
    assert state["touched"]
    assert state["answer"] == answer
    with pytest.raises(ValueError, match=name) as refusal:
        by_copier(template, {**others, name: answer}, "my-app")
    assert str(refusal.value).endswith(f": {state['error']}")
    assert state["bad_rows"] == (list(answer) if state["widget"] == "mapping" else [])
    assert given(render) == set(others)
    assert_same(render, template, others)


@pytest.mark.parametrize(("name", "answer", "others"), STALE)
def test_stale_answer_is_forgotten(
    name: str, answer: Any, others: dict[str, Any], engine: Engine, template: Path
) -> None:
    render = engine.render({**others, name: answer})
    assert not [state for state in render["questions"] if state["error"]]
    assert given(render) == set(others)
    assert_same(render, template, others)


def test_a_refused_mapping_names_its_bad_rows(engine: Engine) -> None:
    """Each bad row; of those that need each other, the one that Copier names."""
    url = "sqlite+pysqlite:///a.db"
    existing = {"base_location": "existing", "base_import": "shop.models:Base"}
    more = {"a": url, "b": url, "c": url}
    imports = {name: f"shop.{name}:Base" for name in more}
    for name, rows, bad in (
        ("more_databases", more | {"a": "x", "c": "y"}, ["a", "c"]),
        ("more_databases", {"a": url, "1": url}, ["1"]),
        ("more_base_imports", imports | {"b": "shop:"}, ["b"]),
        ("more_base_imports", imports | {"d": "shop.d:Base"}, ["d"]),
    ):
        answers = {**existing, "more_databases": more, name: rows}
        states = engine.render(answers)["questions"]
        assert {state["name"]: state["bad_rows"] for state in states}[name] == bad


def test_missing_answer_is_asked_for(engine: Engine) -> None:
    """Until then, its placeholder is rendered, so that there is a project to see."""
    render = engine.render({"base_location": "existing"})
    [state] = [state for state in render["questions"] if state["error"]]
    assert (state["name"], state["answer"], state["touched"]) == (
        "base_import",
        None,
        False,
    )
    [env] = [file for file in render["files"] if file["path"] == "migrations/env.py"]
    assert "from my_app import models" in env["text"]


def test_computed_default_may_be_refused(engine: Engine) -> None:
    """A default that follows from another answer is shown with what is wrong with it."""
    render = engine.render({"base_location": "existing", "base_import": "env:Base"})
    assert "base_import" in {
        state["name"] for state in render["questions"] if state["error"]
    }


def test_file_is_known_by_its_source(engine: Engine) -> None:
    """A renamed package is no rewrite, and a file of a further database is not the first one's."""
    more = {"more_databases": {"analytics": "sqlite+pysqlite:///analytics.db"}}
    other = {"package_name": "hall", "migrations_dir": "alembic_", "async_engine": True}
    before, after = (
        {file["source"]: file["path"] for file in engine.render(answers)["files"]}
        for answers in (more, more | other)
    )
    new = [Path(source).name for source in before.keys() ^ after.keys()]
    assert new == ["asynchronous.py"]  # of the kit: only async drivers need it
    assert len(before) == len(set(before.values()))
    assert [path for path in after.values() if path.startswith("src/my_app/")] == []


def test_every_type_of_question_has_a_field(template: Path, tmp_path: Path) -> None:
    for number, lines in enumerate(
        [
            "type: int",
            "type: str\n  secret: true\n  default: x",
            "type: int\n  multiselect: true\n  choices: [1, 2]",
        ]
    ):
        folder = shutil.copytree(template, tmp_path / str(number))
        questions = folder / "copier.yml"
        text = questions.read_text(encoding="utf-8")
        default = "[1]" if "multiselect" in lines else "1"
        new = f"new_question:\n  default: {default}\n  {lines}\n\nci:\n"
        questions.write_text(text.replace("\nci:\n", f"\n{new}"), encoding="utf-8")
        with pytest.raises(UnknownWidget, match="new_question"):
            Engine(folder, "address", "commit").render({})


def test_installed_kit_is_required_as_copier_requires_it(
    tagged: Path, template: Path
) -> None:
    """By the address, and by the commit: a template without git has none to install."""
    answers = {"kit": "installed", "features": ["autogenerate", "lint"]}
    render = engine_of(tagged, template).render(answers)
    assert not [state for state in render["questions"] if state["error"]]
    with TemporaryDirectory() as folder:
        project = Path(folder, "my-app")
        copier.run_copy(
            str(tagged), project, vcs_ref=history.NOW, data=answers, defaults=True
        )
        assert history.contents(project) == {
            file["path"]: file["text"].encode() for file in render["files"]
        }
    without_git = Engine(template, str(tagged), history.NOW).render(answers)
    [kit] = [q for q in without_git["questions"] if q["name"] == "kit"]
    assert "a template without git" in kit["error"]


KINDS = ["sqlite", "postgresql", "mysql", "mariadb"]
MORE = {"more_databases": {"analytics": "sqlite+pysqlite:///analytics.db"}}


@pytest.mark.parametrize(
    "answers",
    [*({"database": kind} for kind in KINDS), MORE | {"database": "mariadb"}],
    ids=str,
)
def test_each_feature_tells_the_lines_that_it_adds(
    answers: dict[str, Any], engine: Engine
) -> None:
    """Whether it is chosen or not, and as `wc -l` counts them in a project."""
    before = features_of(engine.render(answers))
    everything = engine.render(answers | {"features": list(before)})
    counted = {
        feature: sum(
            file["text"].count("\n")
            for file in everything["files"]
            if file["path"].startswith(f"migrations/migration_kit/{feature}/")
        )
        for feature in before
    }
    assert before == counted
    assert min(counted.values()) > 0
    assert features_of(everything) == counted
    installed = engine.render(answers | {"kit": "installed"})
    assert set(features_of(installed).values()) == {0}


def features_of(render: Render) -> dict[str, int]:
    """Return the lines that each feature tells, by its name."""
    [state] = [state for state in render["questions"] if state["name"] == "features"]
    return {str(choice["value"]): choice["lines"] for choice in state["choices"]}


@pytest.mark.usefixtures("tagged")
def test_types_of_the_page_fit() -> None:
    """esbuild, which bundles its modules, does not look at types."""
    check_types(WORK)


def test_page_is_less_than_ten_megabytes(tagged: Path) -> None:
    """So it says; compressed, as web servers send it."""
    page = tagged.with_name("site") / "start"
    assert (
        sum(len(gzip.compress(path.read_bytes())) for path in page.rglob("*.*")) < 10e6
    )


def test_browser_renders_the_same(worker: Page, tagged: Path, template: Path) -> None:
    """Each case, byte for byte, in the Python of the browser."""
    requests = [{"kind": "render", "answers": answers} for answers in CASES]
    here = engine_of(tagged, template)
    for answers, response in zip(CASES, worker.evaluate(ASK, requests), strict=True):
        assert json.loads(response) == here.render(answers), answers


def test_zip_of_the_browser_lives_on(worker: Page, tmp_path: Path) -> None:
    """Unpacked, migrated, and updated to the next release."""
    answers = {"project_name": "Größe", "package_name": "hall"}
    [response] = worker.evaluate(ASK, [{"kind": "zip", "answers": answers}])
    name, content = response["name"], bytes(response["bytes"])
    assert name == "hall.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            path = Path(archive.extract(member, tmp_path))
            path.chmod(member.external_attr >> 16)
    project = tmp_path / "hall"
    assert "Running upgrade" in alembic(project, "upgrade", "head")
    history.git(project, "init", "--quiet")
    history.commit(project, "Start")
    history.update(project, history.NEXT)
    assert history.git(project, "diff", "--name-only").split() == [
        ".copier-answers.yml",
        "README.md",
    ]


def test_zip_keeps_the_executable_bit(template: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(template, tmp_path / "template")
    script = folder / "template" / "deploy.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    engine = Engine(folder, "address", "commit")
    name, content = engine.archive({})
    assert name == "my-app.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        modes = {
            member.filename: member.external_attr >> 16 for member in archive.infolist()
        }
    assert {path for path, mode in modes.items() if mode == 0o100755} == {
        "my-app/deploy.sh"
    }
    assert set(modes.values()) == {0o100755, 0o100644}
    assert {
        file["path"] for file in engine.render({})["files"] if file["executable"]
    } == {"deploy.sh"}


def test_zip_for_a_project_that_exists_has_no_folder(engine: Engine) -> None:
    name, content = engine.archive(
        {"base_location": "existing", "base_import": "a.b:C"}
    )
    assert name == "migrations.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert "migrations/env.py" in archive.namelist()


def engine_of(tagged: Path, template: Path) -> Engine:
    """Return what renders the page's template, outside of the browser."""
    commit_hash = history.git(tagged, "rev-parse", f"{history.NOW}^{{commit}}").strip()
    return Engine(template, str(tagged), history.NOW, commit_hash)


def without_python(route: Route) -> None:
    route.abort()


def without_webassembly(route: Route) -> None:
    """A policy as strict as those of many hosts, under which Pyodide waits for ever."""
    policy = "default-src 'none'; script-src 'self'; connect-src 'self'"
    response = route.fetch()
    route.fulfill(
        response=response,
        headers={**response.headers, "content-security-policy": policy},
    )


@pytest.mark.parametrize(
    ("file", "handle"),
    [("pyodide.asm.wasm", without_python), ("worker-*.js", without_webassembly)],
)
def test_page_says_that_the_engine_cannot_start(
    file: str, handle: Callable[[Route], None], browser: Browser, starter: str
) -> None:
    page = browser.new_page()
    page.route(f"**/{file}", handle)
    page.goto(starter)
    page.locator(".status.failed").wait_for()
    page.close()


def test_command_of_the_page_makes_what_the_page_shows(
    browser: Browser, starter: str, tagged: Path, template: Path, tmp_path: Path
) -> None:
    answers: dict[str, Any] = {
        "project_name": 'It\'s "größer" {{ x }} $HOME \\',
        "database": "postgresql",
        "async_engine": True,
        "more_databases": {"analytics": "sqlite+pysqlite:///analytics.db"},
        "features": ["autogenerate", "testing", "squash"],
        "kit": "installed",
    }
    page = browser.new_page()
    fragment = urlencode({name: json_of(answer) for name, answer in answers.items()})
    page.goto(f"{starter}#{fragment}")
    page.locator(".status.ready", has_text=" ms").wait_for()
    command = page.locator("#command").inner_text()
    page.close()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run("sh", "-euc", command, cwd=tmp_path, env={"PATH": path, "VIRTUAL_ENV": ""})
    render = engine_of(tagged, template).render(answers)
    project = tmp_path / render["destination"]
    assert {file["path"]: file["text"].encode() for file in render["files"]} == (
        history.contents(project)
    )


def json_of(answer: str | bool | list[str] | dict[str, str]) -> str:
    """Write an answer as a link does."""
    return answer if isinstance(answer, str) else json.dumps(answer)
