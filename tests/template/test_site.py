"""The pages of the site: built once, with everything that they show really run."""

from __future__ import annotations

import ast
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
import yaml
from filelock import FileLock

from _ext import features, files, questions, renders
from _ext.sessions import Block, Player, Session, Unexpected, split_commands
from _ext.settings import KIT
from _ext.terminal import html_of
from starter.engine import source_of
from support import releases
from support.commands import run
from support.layout import expected_tree
from support.releases import ROOT
from support.variants import FEATURES, PAIRWISE

DOCS = ROOT / "docs"

# Commands of the pages that no session runs, by the page and the first line of their block.
ADOPT, UPDATE, SWITCH = (f"how-to/{name}.md" for name in ("adopt", "update", "switch"))
HISTORY, NOTES = "how-to/adopt-history.md", "reference/upgrade-notes.md"
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
        "uvx copier copy --data base_location=existing --data base_import=shop.models:Base \\",
    ): "the reader's models; test_adopt.py adopts several databases",
    (
        "how-to/branches.md",
        'uv run alembic merge heads -m "merge capes and masks"',
    ): "the other way out of what the session has left by `rebase`",
    ("how-to/clusters.md", "alembic -x lock=none upgrade head"): "in test_clusters.py",
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
            run(sys.executable, "-m", "sphinx", *options, DOCS, site, cwd=ROOT)
            built.touch()
    return site


class Page(HTMLParser):
    """What a page loads, where it leads, and what can be led to."""

    def __init__(self, path: Path) -> None:
        """Read a page."""
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.svgs: list[dict[str, str | None]] = []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a tag."""
        found = dict(attrs)
        if identifier := found.get("id"):
            self.ids.add(identifier)
        if source := found.get("src") or found.get("srcset") or found.get("data"):
            self.loaded.append(source)
        if target := found.get("href"):
            (self.links if tag == "a" else self.loaded).append(target)
        self.loaded += re.findall(r"url\(['\"]?([^'\")]+)", found.get("style") or "")


@cache
def read_pages(site: Path) -> dict[str, Page]:
    """Return the pages by their paths in the site."""
    return {
        path.relative_to(site).as_posix(): Page(path)
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.parts
    }


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


def targets(name: str, page: Page) -> Iterator[tuple[str, str]]:
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
    for script in pages.rglob("*.js"):
        text = script.read_text(encoding="utf-8")
        loading = r"(?:import|fetch|importScripts)\s*\(?\s*['\"`]|\.src\s*=\s*['\"`]"
        addresses = re.findall(rf"(?:{loading})([^'\"`]+)", text)
        loaded += [f"{script.name}: {a}" for a in addresses if external.match(a)]
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
    rules = re.sub(r"--[\w-]+:[^;]+;", "", style)
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b|rgb|hsl", rules)
    own = set(re.findall(r"^  (--[\w-]+):", style, re.MULTILINE))
    dark = re.findall(r"\{([^{}]*)\}", style[style.index('[data-theme="dark"]') :])
    assert own
    assert own <= set(re.findall(r"(--[\w-]+):", dark[0]))


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
    text = read_pages(pages)["how-to/deploy.html"].text
    shown = re.findall(r"docs/deployment.md</code>.*?</pre>", text, re.DOTALL)
    assert len(shown) == 6
    assert not [part for part in shown if "Deployment</span>" in part]


@pytest.mark.parametrize(
    ("command", "fails"), [("echo out; exit 3", False), ("echo out", True)]
)
def test_command_that_does_something_else_stops_the_build(
    tmp_path: Path, command: str, fails: bool
) -> None:
    (tmp_path / "home").mkdir()
    block = Block("run", "page.md:7", (command,), fails=fails)
    with pytest.raises(Unexpected) as error:
        Player(Session(blocks=[block]), tmp_path / "home", tmp_path).play()
    what = "succeeded, and must fail" if fails else "failed"
    assert error.value.place == "page.md:7"
    assert str(error.value) == f"{what}:\n$ {command}\nout"


def test_shell_of_a_session_goes_on(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    commands = ("mkdir sub && cd sub && export NAME=Ada", 'echo "$NAME in $PWD"')
    session = Session(blocks=[Block("run", "", commands)])
    _, second = Player(session, tmp_path / "home", tmp_path).play()[0]
    assert second == (commands[1], "Ada in ~/sub")


def test_commands_are_split_where_a_shell_does() -> None:
    text = "echo 1\n\ncat <<END > file\n  two\n\nEND\necho \\\n  3"
    assert split_commands(text) == [
        "echo 1",
        "cat <<END > file\n  two\n\nEND",
        "echo \\\n  3",
    ]


def test_output_becomes_text_and_its_colours_classes() -> None:
    printed = "\x1b[32m7 passed\x1b[0m <b>&"
    assert html_of(printed) == '<span class="ansi-green">7 passed</span> &lt;b&gt;&amp;'


def test_every_file_has_an_owner_and_a_purpose() -> None:
    found = files.all_files()
    assert not [path for path, file in found.items() if not file.purpose]
    names = releases.template_files()
    there = {source_of(name) for name in names if name.startswith("template/")}
    rendered = {
        file["source"].partition("#")[0]
        for answers in files.RENDERS
        for file in renders.render(answers)["files"]
    }
    assert rendered == there
    written = {re.sub(r"\.jinja$", "", path) for path in files.PURPOSES}
    assert written <= set(found)  # no line for a file that is gone


def test_the_page_of_files_has_those_of_each_variant() -> None:
    found = set(files.all_files())
    for variant in PAIRWISE:
        paths = {
            path.replace(f"{variant.migrations}/", "migrations/", 1)
            for path in expected_tree(variant)
        }
        assert paths <= found


def test_owner_of_a_file_is_who_copier_says() -> None:
    owners = {path: file.owner for path, file in files.all_files().items()}
    assert owners["src/my_app/models/hero.py"] == "you"
    assert owners["migrations/HEAD"] == "you"
    assert owners["src/my_app/models/base.py"] == "both"
    assert owners["src/my_app/models/__init__.py"] == "the template"
    assert owners["migrations/env.py"] == "both"
    assert owners["migrations/migration_kit/lock.py"] == "the template"


def test_pages_say_one_thing_about_owners(pages: Path) -> None:
    """The README of a project has the same table, of its own files."""
    shown = {
        name: re.findall(r"<table.*?</table>", page.text, re.DOTALL)
        for name, page in read_pages(pages).items()
    }
    tables = {
        name: [table for table in found if "never brought back" in table]
        for name, found in shown.items()
    }
    having = {name for name, found in tables.items() if found}
    assert having == {
        "explanation/updates.html",
        "how-to/update.html",
        "reference/files.html",
    }
    assert len({table for found in tables.values() for table in found}) == 1


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


def test_features_are_those_of_the_kit() -> None:
    """The question, the kit's registration and the folders name the same rooms."""
    folders = {path.parent.name for path in KIT.glob("*/room.py")}
    assert folders == set(features.needs())
    assert folders == {*features.features(), *features.brought()}
    assert list(features.features()) == list(FEATURES["all"])


def test_a_room_adds_what_it_depends_on() -> None:
    assert features.added_by("lint") == "`sqlglot`, `squawk-cli` (PostgreSQL)"
    assert features.added_by("tenants") == "`rich`"
    assert features.added_by("branches") == ""


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
