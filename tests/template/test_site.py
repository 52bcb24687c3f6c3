"""The pages of the site: built once, with everything that they show really run."""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import sys
import tempfile
import threading
import tomllib
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlencode

import pytest
import yaml
from filelock import FileLock
from playwright.sync_api import Browser, Page

from _ext import features, questions, renders, sessions
from _ext.sessions import Session, Unexpected, split_commands
from _ext.settings import KIT, constant
from serve import server
from starter.build import install
from starter.engine import source_of
from starter.source import version
from support import releases
from support.commands import run, script
from support.layout import expected_tree
from support.owners import owner_of
from support.releases import ROOT
from support.site import WORK
from support.variants import FEATURES, PAIRWISE

DOCS = ROOT / "docs"

# The one address that the build is given.
ADDRESS = "gh:example/copier-alembic"
REPOSITORY = "https://github.com/example/copier-alembic"

# Commands of the pages that no session runs, by the page and the first line of their block.
ADOPT, UPDATE, SWITCH = (f"how-to/{name}.md" for name in ("adopt", "update", "switch"))
HISTORY, NOTES = "how-to/adopt-history.md", "reference/upgrade-notes.md"
PACKAGING = "how-to/packaging.md"
ELSEWHERE = {
    (
        ADOPT,
        "uvx copier copy --data base_location=existing gh:OWNER/copier-alembic .",
    ): "asks questions",
    (ADOPT, "uv run alembic revision --autogenerate -m baseline"): "in test_adopt.py",
    (
        ADOPT,
        "DATABASE_URL=<an empty database> uv run alembic revision --autogenerate -m baseline",
    ): "the reader's databases; in test_adopt.py",
    (
        "how-to/adopt-database.md",
        'uvx --with "psycopg[binary]" sqlacodegen --noviews --options nosyntheticenums \\',
    ): "the reader's server; in test_adopt.py",
    (HISTORY, "uv run alembic current"): "in test_adopt.py",
    (HISTORY, "uv run python migrations head"): "in test_adopt.py",
    (
        HISTORY,
        "DATABASE_URL=<an empty database> uv run alembic revision \\",
    ): "the reader's databases; in test_adopt.py",
    (
        "how-to/databases.md",
        "uvx copier copy --data base_location=existing --data base_import=shop.models \\",
    ): "the reader's models; test_adopt.py adopts several databases",
    (
        "how-to/branches.md",
        'uv run alembic merge heads -m "merge capes and masks"',
    ): "the other way out of what the session has left by `rebase`",
    ("how-to/clusters.md", "alembic -x lock=none upgrade head"): "in test_clusters.py",
    (
        "how-to/ready.md",
        "#!/bin/sh",
    ): "an image's entrypoint; its command is in test_ready.py",
    (PACKAGING, "uv build --wheel"): "in test_packaged.py",
    (
        PACKAGING,
        'INI=$(python -c "import my_app; print(my_app.__path__[0])")/alembic.ini',
    ): "in test_packaged.py",
    (
        PACKAGING,
        "uvx shiv --entry-point my_app.migrate:main --output-file my-app.pyz .",
    ): "downloads all dependencies",
    (PACKAGING, "uv pip install --target app ."): "in test_packaged.py",
    (
        PACKAGING,
        "uv run --with pyinstaller pyinstaller my_app.spec",
    ): "in test_packaged.py",
    (
        "how-to/pgbouncer.md",
        'DATABASE_URL="$DIRECT_DATABASE_URL" uv run --no-dev alembic upgrade head',
    ): "a pooler of the reader's; in test_poolers.py",
    (
        SWITCH,
        "uvx copier update --vcs-ref=:current: --defaults --data database=postgresql",
    ): "in test_switch.py",
    (SWITCH, "git status"): "after any switch; in test_switch.py",
    (UPDATE, "uvx copier update --defaults"): "in test_repository.py",
    (
        NOTES,
        "uvx copier update --defaults --data 'features=[autogenerate, branches, testing, lint]'",
    ): "in test_features.py",
    (
        NOTES,
        "uvx copier update --vcs-ref=:current: --defaults \\",
    ): "in test_features.py",
    (UPDATE, "git reset --hard"): "in test_update.py",
    (UPDATE, "git diff --diff-filter=D"): "shows what the reader's update deleted",
}


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pages; a warning fails the build, and so does a command."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    site, built = shared / "pages", shared / "pages.built"
    with FileLock(shared / "pages.lock"):
        if not built.exists():
            # A page with a warning is read again by the next worker, which fails as well.
            options = ["-q", "-E", "-W", "--keep-going", "-n", "-j", "auto"]
            command: list[str | Path] = [sys.executable, "-m", "sphinx", *options]
            run(*command, DOCS, site, cwd=ROOT, env={"SITE_ADDRESS": ADDRESS})
            built.touch()
    return site


class Html(HTMLParser):
    """What a page loads, where it leads, and what can be led to."""

    def __init__(self, path: Path) -> None:
        """Read a page."""
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.descriptions: list[str] = []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a tag."""
        found = dict(attrs)
        if identifier := found.get("id"):
            self.ids.add(identifier)
        if found.get("name") == "description":
            self.descriptions.append(found.get("content") or "")
        if source := found.get("src") or found.get("srcset") or found.get("data"):
            self.loaded.append(source)
        if target := found.get("href"):
            (self.links if tag == "a" else self.loaded).append(target)
        self.loaded += re.findall(r"url\(['\"]?([^'\")]+)", found.get("style") or "")


@cache
def read_pages(site: Path) -> dict[str, Html]:
    """Return the pages by their paths in the site, without those that lead on to another."""
    found = {
        path.relative_to(site).as_posix(): Html(path)
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.parts
    }
    return {name: page for name, page in found.items() if "<article" in page.text}


def sources() -> list[Path]:
    """Return the files that pages are made of."""
    return [
        path
        for path in sorted(DOCS.rglob("*.md"))
        if not {"_build", "starter", "node_modules"} & {*path.relative_to(DOCS).parts}
    ]


def test_every_file_is_a_page_that_the_index_leads_to(pages: Path) -> None:
    found = read_pages(pages)
    written = {
        path.relative_to(DOCS).with_suffix(".html").as_posix() for path in sources()
    }
    assert written <= set(found)
    reached, waiting = set(), ["index.html"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += {target for target, _ in targets(name, found[name])} - reached
        waiting = [name for name in waiting if name in found]
    assert written <= reached


def targets(name: str, page: Html) -> Iterator[tuple[str, str]]:
    """Return the paths in the site to which a page links, each with an anchor."""
    for link in page.links:
        if re.match(r"\w+:", link):
            continue
        path, anchor = urldefrag(unquote(link))
        joined = os.path.normpath(Path(name).parent / path) if path else name
        yield Path(joined).as_posix(), anchor


def test_every_link_within_the_site_leads_somewhere(pages: Path) -> None:
    found = read_pages(pages)
    # The starter comes from a build of its own.
    dead = [
        f"{name}: {path}#{anchor}"
        for name, page in found.items()
        for path, anchor in targets(name, page)
        if path != "start"
        and (
            not (pages / path).exists()
            or (anchor and path in found and anchor not in found[path].ids)
        )
    ]
    assert not dead


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_repository_lead_to_pages(pages: Path, name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!\w+:)([^)]+)\)", text):
        path, anchor = urldefrag(link)
        assert not path or (ROOT / path).exists(), link
        if anchor and path.startswith("docs/"):
            page = Path(path.removeprefix("docs/")).with_suffix(".html").as_posix()
            assert anchor in read_pages(pages)[page].ids, link


def test_nothing_is_loaded_from_elsewhere(pages: Path) -> None:
    external = re.compile(r"\s*(?:[a-z]+:)?//", re.IGNORECASE)
    loaded = [
        f"{name}: {address}"
        for name, page in read_pages(pages).items()
        for address in page.loaded
        if external.match(address)
    ]
    for style in pages.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        addresses = re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")\s]+)", text)
        loaded += [f"{style.name}: {a}" for a in addresses if external.match(a)]
    for code in pages.rglob("*.js"):
        text = code.read_text(encoding="utf-8")
        loading = r"(?:import|fetch|importScripts)\s*\(?\s*['\"`]|\.src\s*=\s*['\"`]"
        addresses = re.findall(rf"(?:{loading})([^'\"`]+)", text)
        loaded += [f"{code.name}: {a}" for a in addresses if external.match(a)]
    assert not loaded


def test_no_page_tells_where_it_was_built(pages: Path) -> None:
    here = [str(ROOT), tempfile.gettempdir(), "copier_alembic_"]
    for name, page in read_pages(pages).items():
        assert not [place for place in here if place in page.text], name


def test_pictures_and_terminals_follow_light_and_dark(pages: Path) -> None:
    """Colours are the theme's: nothing in a page names one."""
    for name, page in read_pages(pages).items():
        article = page.text[page.text.index("<article") : page.text.index("</article")]
        assert "<img" not in article, name
        color = r"\b(?:fill|stroke|color|background)(?:-color)?\s*[=:]\s*['\"]?"
        fixed = rf"{color}(?!none|transparent|currentColor|inherit|var\()[#\w]+"
        assert not re.findall(
            fixed, re.sub(r"<pre.*?</pre>", "", article, flags=re.DOTALL)
        )
    style = (DOCS / "_static" / "site.css").read_text(encoding="utf-8")
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b|rgb|hsl", style)


def test_each_block_of_commands_is_run_or_says_why_not() -> None:
    plain = {
        (path.relative_to(DOCS).as_posix(), first.strip())
        for path in sources()
        for first in re.findall(
            r"^ *```+ *(?:shell|console|bash|sh|powershell)\n(.*)$",
            path.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    }
    assert plain == set(ELSEWHERE)


def test_yaml_of_the_pages_can_be_read() -> None:
    """What can be copied as it is comes from a project, and test_deployment.py holds it to schemas."""
    for path in sources():
        text = path.read_text(encoding="utf-8")
        for block in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            assert yaml.safe_load(block)


def test_page_of_deployment_shows_parts_of_a_projects_own(pages: Path) -> None:
    text = read_pages(pages)["how-to/deploy-recipes.html"].text
    caption = r"docs/deployment.md</span></code></span>.*?</pre>"
    shown = re.findall(caption, text, re.DOTALL)
    assert len(shown) == 6
    assert not [part for part in shown if "Deployment</span>" in part]


@pytest.mark.parametrize(
    ("command", "fails"), [("echo out; exit 3", False), ("echo out", True)]
)
def test_command_that_does_something_else_stops_the_build(
    command: str, fails: bool
) -> None:
    session = Session()
    with session.open(), pytest.raises(Unexpected) as error:
        session.run(command, fails)
    what = "succeeded, and must fail" if fails else "failed"
    assert str(error.value) == f"{what}:\n$ {command}\nout"


def test_shell_of_a_session_goes_on() -> None:
    session = Session()
    with session.open():
        session.run("mkdir sub && cd sub && export NAME=Ada")
        _, output = session.run('echo "$NAME in $PWD"')
    assert output == "Ada in ~/sub"


def test_what_ran_is_kept_only_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Identifiers are others in another run, so no page mixes two."""
    monkeypatch.setattr(renders, "CACHE", tmp_path)
    blocks = ["```{terminal} a", "```{terminal} b"]

    def play(page: sessions.Page, command: str) -> None:
        page.play("a", None, lambda session: [session.run(command)])

    broken = sessions.Page(blocks)
    play(broken, "echo 1")
    with pytest.raises(Unexpected):
        play(broken, "exit 1")
    broken.close()
    assert not broken.kept.exists()
    whole = sessions.Page(blocks)
    play(whole, "echo 2")
    whole.close()
    again = sessions.Page(blocks)
    assert again.play("a", None, lambda _: []) == [["echo 2", "2"]]  # type: ignore[comparison-overlap]


def test_commands_are_split_where_a_shell_does() -> None:
    text = "echo 1\n\ncat <<END > file\n  two\n\nEND\necho \\\n  3"
    assert split_commands(text) == [
        "echo 1",
        "cat <<END > file\n  two\n\nEND",
        "echo \\\n  3",
    ]


# Renders that bring each file of the template at least once.
ALL: dict[str, Any] = {"features": list(FEATURES["all"])}
MARIADB = {"database": "mariadb", "tenants": "database", "base_location": "module"}
RENDERS: list[dict[str, Any]] = [
    ALL | {"example": "tour", "agents": True},
    ALL | {"database": "postgresql", "compose": True, "ci": "gitlab"},
    ALL | {"database": "postgresql", "tenants": "schema"},
    ALL | MARIADB | {"async_engine": True},
    questions.ANALYTICS | {"database": "postgresql", "async_engine": True},
    {
        "more_databases": {"analytics": "sqlite+aiosqlite:///analytics.db"},
        "async_engine": True,
    },
    *(
        questions.EXISTING
        | {"base_import": "my_app.models:Base", "ci": "github", "database": database}
        for database in ("sqlite", "postgresql", "mariadb")
    ),
]
KIT_FOLDER = "migrations/migration_kit"


def rendered_files() -> list[Any]:
    """Return the files of those renders."""
    return [file for answers in RENDERS for file in renders.render(answers)["files"]]


def listed_files() -> dict[str, list[str]]:
    """Return the rows of the page of files by their paths; a part of the kit is its own path."""
    text = (DOCS / "reference" / "files.md").read_text(encoding="utf-8")
    folder, listed = "", {}
    for heading, name, more in re.findall(
        r"^## (.+)$|^\| `([^`]+)` \| (.+) \|$", text, re.MULTILINE
    ):
        if heading:
            folder = heading.strip("`") if heading.startswith("`") else ""
        else:
            listed[f"{folder}{name}"] = more.split(" | ")
    return listed


def test_page_of_files_has_each_with_its_owner_and_purpose() -> None:
    listed = listed_files()
    found = {file["path"] for file in rendered_files()}
    others = {path for path in found if not path.startswith(f"{KIT_FOLDER}/")}
    kit = {path.removeprefix(f"{KIT_FOLDER}/") for path in found - others}
    parts = {f"{KIT_FOLDER}/{path.split('/')[0]}{'/' * ('/' in path)}" for path in kit}
    assert set(listed) == others | parts
    for path, row in listed.items():
        assert row[-1].strip(), path
        if path in others:
            assert row[0] == owner_of(path), path


def test_renders_bring_each_file_of_the_template() -> None:
    names = releases.template_files()
    there = {source_of(name) for name in names if name.startswith("template/")}
    assert {file["source"].partition("#")[0] for file in rendered_files()} == there
    found = {file["path"] for file in rendered_files()}
    for variant in PAIRWISE:
        paths = {
            path.replace(f"{variant.migrations}/", "migrations/", 1)
            for path in expected_tree(variant)
        }
        assert paths <= found


def test_trees_of_the_pages_are_those_of_a_project() -> None:
    found = {file["path"] for file in rendered_files()}
    folders = {f"{parent}/" for path in found for parent in Path(path).parents}
    count = 0
    for page in sources():
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^```text\n(\S+/\n(?: .*\n)+)```", text, re.MULTILINE):
            above = [""]
            for line in block.splitlines():
                name = line.split()[0]
                level = (len(line) - len(line.lstrip())) // 2
                del above[level + 1 :]
                path = above[level] + name
                above.append(path if (level, name) != (0, "my-app/") else "")
                assert above[-1] == "" or path in found | folders, f"{page}: {path}"
                count += 1
    assert count > 15


def test_one_page_has_the_table_of_owners() -> None:
    """Others link to it; the README of a project has the same table, of its own files."""
    having = [
        path.relative_to(DOCS).as_posix()
        for path in sources()
        if "\n% insert owners\n" in path.read_text(encoding="utf-8")
    ]
    assert having == ["reference/files.md"]


@pytest.mark.parametrize("room", features.needs())
def test_room_has_a_page_that_says_which_answer_brings_it(
    room: str, pages: Path
) -> None:
    name = f"how-to/{features.PAGES.get(room, room)}"
    lines = (DOCS / f"{name}.md").read_text(encoding="utf-8").splitlines()
    assert f"% insert room {room}" in lines[:18]
    article = read_pages(pages)[f"{name}.html"].text.partition("<article")[2]
    text = re.sub(r"<[^>]+>", "", article)
    counted = f"{features.lines_of(room, 'sqlite'):,} lines"
    said = rf"The feature {room} brings it|Your answer to \w+ brings it"
    assert re.search(rf"(?:{said}) \({counted}", text)


def test_page_of_features_has_each_room_and_its_lines(pages: Path) -> None:
    text = read_pages(pages)["reference/features.html"].text
    rows = [re.findall(r"<td.*?</td>", row, re.DOTALL) for row in text.split("<tr")]
    cells = [[re.sub(r"<[^>]+>|\s+$", "", cell) for cell in row] for row in rows if row]
    found = {re.split(r"\W", row[0])[0]: row[2:5] for row in cells if len(row) == 6}
    assert found == {
        room: [f"{features.lines_of(room, kind):,}" for kind in features.KINDS]
        for room in features.needs()
    }


def test_page_of_checks_has_each() -> None:
    page = (DOCS / "reference" / "checks.md").read_text(encoding="utf-8")
    found = [
        f"| `{name}` | `{room}` | "
        for room in features.needs()
        for path in (KIT / room).glob("checks.py")
        for name in re.findall(r"(?m)^def (test_\w+)", path.read_text("utf-8"))
    ]
    assert re.findall(r"(?m)^\| `test_\w+` \| `\w+` \| ", page) == found


# Prints the rules with a remedy: of all databases, and of MySQL's kind only; and those of `protected`.
RULES = """
import json
from migration_kit.lint.changes import DESTROYS
from migration_kit.lint.mysql import MySQL
from migration_kit.lint.reading import plain_dialect
from migration_kit.lint.rules import Rules
own = MySQL(plain_dialect("mysql")).remedies
print(json.dumps([[*Rules.remedies], [*own.keys() - Rules.remedies], [*DESTROYS]]))
"""


def rules_that_lint_reports() -> set[str]:
    """Return the names in the calls that make a finding, which has no other words for it."""
    found = {"deleted-revision"}  # its file is gone: no finding has a place there
    for path in (KIT / "lint").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case (
                    ast.Call(ast.Attribute(attr="find"), [ast.Constant(rule), *_])
                    | ast.Call(ast.Name("Finding"), [_, _, ast.Constant(rule), *_])
                    | ast.keyword("rule", ast.Constant(rule))
                    | ast.Yield(ast.Tuple([ast.Constant(rule), _, _]))
                ):
                    found.add(str(rule))
    return found


def test_page_of_lint_has_each_rule() -> None:
    page = (DOCS / "reference" / "lint.md").read_text(encoding="utf-8")
    output = run(sys.executable, "-Bc", RULES, cwd=KIT.parent)
    everywhere, mysql, destroys = map(set, json.loads(output))
    found = {
        rule: databases
        for rules, databases in re.findall(r"(?m)^\| (`.*?) \|.*\| (.*) \|$", page)
        for rule in re.findall("`(.+?)`", rules)
    }
    of_git = {"edited-revision", "deleted-revision"}
    assert found.keys() == rules_that_lint_reports() == everywhere | mysql | of_git
    assert {rule for rule, one in found.items() if one == "MySQL, MariaDB"} == mysql
    assert {one.partition(";")[0] for one in found.values()} == {
        "all",
        "MySQL, MariaDB",
    }
    refused = page.partition("## Refused in production")[2]
    assert {*re.findall("`([a-z-]+)`", refused)} == destroys | {"unread"}


def test_features_are_those_of_the_kit() -> None:
    """The question, the kit's registration and the folders name the same rooms."""
    folders = {path.parent.name for path in KIT.glob("*/room.py")}
    assert folders == set(features.needs())
    assert folders == {*features.features(), *features.brought()}
    assert list(features.features()) == list(FEATURES["all"])


def dependencies(answers: dict[str, Any]) -> set[str]:
    """Return the packages that a project depends on, those of its developers as well."""
    files = {file["path"]: file["text"] for file in renders.render(answers)["files"]}
    pyproject = tomllib.loads(files["pyproject.toml"])
    required = pyproject["project"]["dependencies"]
    required += pyproject.get("dependency-groups", {}).get("dev", [])
    return {re.split(r"[\[>= @]", requirement)[0] for requirement in required}


def added_by(room: str) -> str:
    """Return the packages that a room adds, with the database if it is not always."""
    found: dict[str, list[str]] = {}
    for database, title in features.KINDS.items():
        before: dict[str, Any] = {
            "database": database,
            "features": list(features.needs()[room]),
        }
        after = before | {"features": [*features.needs()[room], room]}
        if room in features.brought():
            after = before | ({} if room == "adopted" else features.ANSWERS[room])
        for package in dependencies(after) - dependencies(before):
            found.setdefault(package, []).append(title)
    return ", ".join(
        f"`{package}`"
        + ("" if len(titles) == len(features.KINDS) else f" ({', '.join(titles)})")
        for package, titles in sorted(found.items(), key=lambda item: -len(item[1]))
    )


def test_a_room_adds_what_it_depends_on() -> None:
    found = {room: added_by(room) for room in features.needs()}
    assert {room: said for room, said in found.items() if said} == features.ADDS


def test_figures_are_on_one_page_only() -> None:
    """What was measured on a release is measured again in one place."""
    measured = {
        path.relative_to(ROOT).as_posix()
        for path in [*sources(), ROOT / "README.md"]
        if re.search(r"^\| release \d", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert measured == {"docs/explanation/figures.md", "README.md"}


def test_page_of_questions_has_each_of_them(pages: Path) -> None:
    page = read_pages(pages)["reference/questions.html"]
    for name, state in questions.ask({}).items():
        assert f">{name}</span>" in page.text
        for choice in state["choices"] if state["asked"] else ():
            assert f">{questions.value(choice['value'])}</span>" in page.text


def test_page_of_settings_has_each_option_of_run() -> None:
    """With its type, its default, and whether one of Alembic's can be combined with the kit's."""
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    tree = ast.parse((KIT / "environment.py").read_text(encoding="utf-8"))
    [run_] = [
        n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "run"
    ]
    types = {
        ast.unparse(node.targets[0]): ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
    }
    given: list[tuple[ast.arg, ast.expr | None]]
    given = [(argument, None) for argument in run_.args.args]
    given += zip(run_.args.kwonlyargs, run_.args.kw_defaults, strict=True)
    for argument, default in given:
        assert argument.annotation
        annotation = ast.unparse(argument.annotation).strip("'")
        shown = f"{argument.arg}: {types.get(annotation, annotation)}"
        shown += f" = {ast.unparse(default)}" if default else ""
        assert f"\n`{shown}`\n: " in page
    dicts = [constant(name, "options.py") for name in ("RULES", "TAKEN")]
    keys = [key for node in dicts if isinstance(node, ast.Dict) for key in node.keys]
    combined = [ast.literal_eval(key) for key in keys if key]
    section = page.partition("### Options of Alembic")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \| ", section, re.MULTILINE) == combined


def test_page_of_settings_has_each_that_the_kit_reads(pages: Path) -> None:
    text = read_pages(pages)["reference/settings.html"].text
    page = re.sub(r"<[^>]+>", "", text)
    names = {name for path in KIT.rglob("*.py*") for name in settings_of(path)}
    assert {"lock_timeout", "DATABASE_URL", "sqlalchemy.url", "tenant"} <= names
    missing = {name for name in names if not re.search(rf"\b{name}\b", page)}
    assert not missing


# What programs and tests of the kit tell each other, and nobody else.
RUN = "environment.run"
INTERNAL = {"url", "scratch", "do_run", "creates"}


def settings_of(path: Path) -> Iterator[str]:
    """Return the settings, variables, attributes and arguments that a module reads."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and f"{path.stem}.{node.name}" == RUN:
            yield from (a.arg for a in [*node.args.args, *node.args.kwonlyargs])
        if isinstance(node, ast.FunctionDef) and node.name == "url_variable":
            yield from ("DATABASE_URL", "ANALYTICS_DATABASE_URL")
        if isinstance(node, ast.JoinedStr) and ast.unparse(node).startswith("f'TEST_"):
            yield from ("TEST_DATABASE_URL", "TEST_ANALYTICS_DATABASE_URL")
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
        called = ast.unparse(node.func)
        if not isinstance(name, str):
            continue
        if called.endswith("attributes.get"):
            yield from {name} - INTERNAL
        elif re.search(
            r"get_seconds|get_main_option|environ\.get|get_x_argument\(.*\)\.get$",
            called,
        ):
            yield name


def test_one_address_reaches_every_command(pages: Path) -> None:
    texts = {name: page.text for name, page in read_pages(pages).items()}
    assert [name for name, text in texts.items() if "OWNER/" in text] == []
    for name, text in texts.items():
        article = text.partition("<article")[2].partition("</article")[0]
        plain = re.sub(r"<[^>]+>", "", article)
        for command in re.findall(r"copier copy [^\n]*(?:\\\n[^\n]*)*", plain):
            if re.search(r"\w+:\w+/", command):
                assert ADDRESS in command, f"{name}: {command}"
    assert sum(text.count(ADDRESS) for text in texts.values()) > 8


@pytest.mark.parametrize(
    ("given", "address", "repository"),
    [
        ("gh:ada/alembic", "gh:ada/alembic", "https://github.com/ada/alembic"),
        ("https://github.com/a/b.git", "gh:a/b", "https://github.com/a/b"),
        ("git@gitlab.com:a/b/c.git", "gl:a/b/c", "https://gitlab.com/a/b/c"),
        ("https://git.example.com/b.git", None, "https://git.example.com/b"),
        ("git@git.example.com:b", None, ""),
    ],
)
def test_address_is_as_copier_takes_it(
    monkeypatch: pytest.MonkeyPatch, given: str, address: str | None, repository: str
) -> None:
    monkeypatch.setenv("SITE_ADDRESS", given)
    monkeypatch.setattr(renders, "ADDRESS", renders.address())
    assert (address or given) == renders.ADDRESS
    assert renders.repository() == repository


def test_without_an_address_it_is_that_of_git(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SITE_ADDRESS", raising=False)
    monkeypatch.setattr(renders, "ROOT", tmp_path)
    run("git", "init", "--quiet", cwd=tmp_path)
    assert renders.address() == renders.PLACEHOLDER
    run("git", "remote", "add", "origin", str(tmp_path), cwd=tmp_path)
    assert renders.address() == renders.PLACEHOLDER
    run("git", "remote", "set-url", "origin", f"{REPOSITORY}.git", cwd=tmp_path)
    assert renders.address() == ADDRESS


def test_each_page_leads_to_the_repository_and_names_the_release(pages: Path) -> None:
    release = f"Release {version()}"
    for name, page in read_pages(pages).items():
        assert release in page.text, name
        for target in ("", "/blob/main/CHANGELOG.md", "/blob/main/LICENSE"):
            assert f"{REPOSITORY}{target}" in page.links, f"{name}: {target}"
        if name != "search.html":
            source = name.replace(".html", ".md")
            assert f"{REPOSITORY}/edit/main/docs/{source}" in page.links
    home = read_pages(pages)["index.html"].text
    assert "<title>copier-alembic: safe Alembic migrations</title>" in home


def test_each_page_has_its_own_description(pages: Path) -> None:
    found = {
        name: page.descriptions
        for name, page in read_pages(pages).items()
        if name != "search.html"
    }
    assert [name for name, said in found.items() if len(said) != 1] == []
    texts = [said[0] for said in found.values()]
    assert len(set(texts)) == len(texts)
    assert [text for text in texts if not 40 <= len(text) <= 160] == []


def test_a_page_that_moved_leads_on(pages: Path) -> None:
    text = (pages / "explanation" / "alternatives.html").read_text(encoding="utf-8")
    assert 'content="0; url=why.html"' in text


def test_pages_say_what_ran(pages: Path) -> None:
    for name, page in read_pages(pages).items():
        if name != "search.html":
            ran = '<div class="terminal' in page.text and "did not run" not in page.text
            assert (sessions.RAN in page.text) == ran, name


def test_figures_carry_release_machine_and_command() -> None:
    text = (DOCS / "explanation" / "figures.md").read_text(encoding="utf-8")
    introduction, *parts = re.split(r"^## .*$", text, flags=re.MULTILINE)
    assert re.search(r"\d busy cores", introduction)
    for part in parts:
        assert re.search(r"^\| release \d+\.\d+", part, re.MULTILINE), part[:80]
        assert "`uv run python benchmarks/" in part


def test_guides_are_in_four_groups(pages: Path) -> None:
    """The index says one line of each, and the sidebar has the same groups."""
    text = (DOCS / "how-to" / "index.md").read_text(encoding="utf-8")
    _, *sections = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    groups = dict(zip(sections[::2], sections[1::2], strict=True))
    listed = {
        group: re.findall(r"^\[(.+)\]\((\w[\w-]*)\.md\)\n: .+\.$", part, re.MULTILINE)
        for group, part in groups.items()
    }
    assert list(listed) == ["Start", "Change your schema", "Ship", "Scale"]
    written = {path.stem for path in (DOCS / "how-to").glob("*.md")} - {"index"}
    names = [name for guides in listed.values() for _, name in guides]
    assert sorted(names) == sorted(written)
    for title, name in (guide for guides in listed.values() for guide in guides):
        source = (DOCS / "how-to" / f"{name}.md").read_text(encoding="utf-8")
        assert f"\n# {title}\n" in f"\n{source}"
    home = read_pages(pages)["index.html"].text
    sidebar = home.partition('<div class="sidebar-tree">')[2].partition("</div>")[0]
    shown = re.split(r'<span class="caption-text">(.*?)</span>', sidebar)[1:]
    captions = dict(zip(shown[::2], shown[1::2], strict=True))
    for group, guides in listed.items():
        found = re.findall(r'href="how-to/([\w-]+)\.html"', captions[group])
        assert found == [name for _, name in guides]


def test_busy_port_is_said_in_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        code = f"import serve, sys; serve.SITE = serve.Path('.'); sys.argv[1:] = ['--port={port}']"
        output = run(
            sys.executable, "-c", f"{code}; serve.main()", cwd=DOCS, fails=True
        )
    assert output == (
        f"can't listen on port {port}: Address already in use. "
        f"Run `python docs/serve.py --port {port + 1}`\n"
    )


@pytest.fixture(scope="session")
def served(pages: Path) -> Iterator[str]:
    """The address of the pages."""
    with server(pages, 0) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


# What is wider than its place without a way to scroll there.
CUT_OFF = """() => {
  const wide = (box) => box.scrollWidth > box.clientWidth + 1
  const scrolls = (box) => ["auto", "scroll"].includes(getComputedStyle(box).overflowX)
  const found = []
  for (const table of document.querySelectorAll("article table, article pre")) {
    const { left, right } = table.getBoundingClientRect()
    let box = table.tagName === "PRE" ? table : table.parentElement
    while (box && !scrolls(box)) {
      const place = box.getBoundingClientRect()
      if (wide(box) && getComputedStyle(box).overflowX !== "visible") break
      box = box.parentElement
    }
    const place = (box ?? document.documentElement).getBoundingClientRect()
    const inside = box && scrolls(box) && box.matches("pre, .highlight, .table-wrapper")
    if (!inside && (right > innerWidth || left < 0)) found.push(table.textContent.slice(0, 40))
    if (inside && (place.right > innerWidth + 1 || place.left < 0))
      found.push(table.textContent.slice(0, 40))
  }
  const over = document.documentElement.scrollWidth - innerWidth
  return over > 0 ? [...found, `the page scrolls by ${over}`] : found
}"""


def test_no_table_is_cut_off(pages: Path, page: Page, served: str) -> None:
    cut = {}
    for name in read_pages(pages):
        page.goto(f"{served}{name}")
        for width in (360, 768, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            cut[name, width] = page.evaluate(CUT_OFF)
    assert {key: found for key, found in cut.items() if found} == {}


# What has a colour of its own.
CLASSES = """() => [...document.querySelectorAll("*")].map(
  (one) => `${one.parentElement?.className} ${one.localName} ${one.className}`
)"""
LOOK = """async ([colours, dark]) => {
  const contrast = {"color-contrast": {enabled: colours}}
  const options = dark ? {runOnly: ["color-contrast"]} : {rules: contrast}
  return (await axe.run(options)).violations
}"""


def test_nothing_is_in_the_way_of_a_screen_reader(
    pages: Path, page: Page, served: str
) -> None:
    """Colours, which take longest, where a page has something that none before it had."""
    WORK.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(WORK.with_suffix(".lock")):
        install(WORK)
    axe = (WORK / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
    violations: dict[tuple[str, bool], list[str]] = {}
    known: set[str] = set()
    for name in [*read_pages(pages), "search.html?q=lock"]:
        page.emulate_media(color_scheme="light")
        page.goto(f"{served}{name}")
        page.evaluate(axe)
        classes = set(page.evaluate(CLASSES))
        colours = not classes <= known
        known |= classes
        for dark in (False, True)[: 1 + colours]:
            page.emulate_media(color_scheme="dark" if dark else "light")
            violations[name, dark] = [
                f"{one['id']}: {one['nodes'][0]['html']}"
                for one in page.evaluate(LOOK, [colours, dark])
            ]
    assert {key: found for key, found in violations.items() if found} == {}


# What people search for, and the page that comes first.
QUERIES = {
    # Errors, by their text.
    "Multiple head revisions": "how-to/troubleshooting",
    "Can't locate revision identified by": "how-to/troubleshooting",
    "Target database is not up to date": "how-to/troubleshooting",
    "database is locked": "how-to/troubleshooting",
    "lock timeout": "how-to/troubleshooting",
    "deadlock": "how-to/troubleshooting",
    "not installed": "how-to/troubleshooting",
    "error": "how-to/troubleshooting",
    "exit code": "reference/cheat-sheet",
    # Frameworks and other tools.
    "fastapi": "how-to/frameworks",
    "flask": "how-to/frameworks",
    "litestar": "how-to/frameworks",
    "sqlmodel": "how-to/frameworks",
    "django": "explanation/why",
    "flask-migrate": "explanation/why",
    "sqlacodegen": "how-to/adopt-database",
    "pytest": "how-to/testing",
    "pytest-alembic": "explanation/why",
    "docker": "how-to/deploy-recipes",
    "kubernetes": "how-to/deploy-recipes",
    "helm": "how-to/deploy-recipes",
    "github actions": "how-to/deploy-recipes",
    "squawk": "how-to/lint",
    "pgbouncer": "how-to/pgbouncer",
    "galera": "how-to/clusters",
    "postgis": "how-to/extensions",
    "pgvector": "how-to/extensions",
    "cockroachdb": "how-to/clusters",
    # Other words for it.
    "zero downtime": "how-to/expand-contract",
    "blue-green": "how-to/expand-contract",
    "rolling update": "how-to/expand-contract",
    "concurrently": "how-to/online",
    "multiple heads": "how-to/branches",
    "merge": "how-to/branches",
    "rebase": "reference/commands",
    "undo": "how-to/rollback",
    "revert": "how-to/rollback",
    "rollback": "how-to/rollback",
    "downgrade": "how-to/rollback",
    "offline": "how-to/offline",
    "--sql": "how-to/offline",
    "dba": "how-to/offline",
    "seed": "how-to/testing",
    "fixture": "how-to/testing",
    "multi-tenant": "how-to/tenants",
    "fleet": "how-to/tenants",
    "rds": "how-to/clusters",
    "aurora": "how-to/clusters",
    "backfill": "how-to/backfill",
    "batch": "how-to/backfill",
    "data migration": "how-to/backfill",
    "rename column": "how-to/renames",
    "enum": "how-to/recipes",
    "not null": "how-to/recipes",
    "uuid": "how-to/recipes",
    "trigger": "how-to/views",
    "mermaid": "how-to/diagram",
    "alembic history": "how-to/adopt-history",
    "existing database": "how-to/adopt-database",
    "breaking changes": "reference/upgrade-notes",
    "environment variables": "reference/settings",
    "DATABASE_URL": "reference/settings",
    "benchmark": "explanation/figures",
    "trust": "explanation/trust",
}


def test_search_finds_the_page_first(page: Page, served: str) -> None:
    """As the page shows it for one query, and as it computes it for all."""
    [query, first], *_ = QUERIES.items()
    page.goto(f"{served}search.html?{urlencode({'q': query})}")
    page.locator(".search-summary", has_text=re.compile("page|match")).wait_for()
    link = page.locator("ul.search li a").first.get_attribute("href") or ""
    assert link.partition(".html")[0] == first
    find = """queries => queries.map(query => {
        const results = Search._performSearch(...Search._parseQuery(query))
        return [query, results.pop()?.[0]]
    })"""
    assert dict(page.evaluate(find, list(QUERIES))) == QUERIES


def test_search_finds_what_terminals_and_files_show(page: Page, served: str) -> None:
    """A word of an output, and one of a file that a session wrote."""
    page.goto(f"{served}search.html")
    find = """word => {
        const found = Search._index.terms[new Stemmer().stemWord(word)] ?? []
        return [found].flat().map(number => Search._index.docnames[number])
    }"""
    assert "index" in page.evaluate(find, "detected")
    assert "tutorial" in page.evaluate(find, "mapped_column")


def test_workflow_that_publishes_is_valid_and_safe() -> None:
    workflow = ".github/workflows/site.yml"
    check = ("--builtin-schema", "vendor.github-workflows", workflow)
    run(script("check-jsonschema"), *check, cwd=ROOT)
    run(script("zizmor"), "--offline", workflow, cwd=ROOT)
    jobs = yaml.safe_load((ROOT / workflow).read_text(encoding="utf-8"))["jobs"]
    ran = [step.get("run", "") for step in jobs["build"]["steps"]]
    assert "uv run python docs/build.py" in ran
    assert jobs["publish"]["needs"] == "build"
    used = [
        step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step
    ]
    assert used
    assert [use for use in used if not re.search(r"@[0-9a-f]{40}$", use)] == []
    ours = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert {use for use in used if "pages" not in use} <= set(
        re.findall(r"uses: (\S+)", ours)
    )
