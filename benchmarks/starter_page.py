"""How big and how fast the starter page is, and whether it makes what `copier copy` makes.

``uv run python benchmarks/starter_page.py --starts 5 --cases 200``, after docs/build.py, prints

- the bytes that a browser loads, compressed as a web server does it;
- milliseconds from the address to the default project, and to the engine's first render, with an
  empty profile and with one that has been here;
- milliseconds from a click on an answer to the frame that shows the new project;
- over random answers, how many projects are Copier's own byte for byte, and the time of a render in
  the browser as a ratio to Copier's here, in the same run.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import copier
from playwright.sync_api import BrowserType, Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "tests")]

from serve import SITE, server
from starter.source import Source
from support.servers import program
from support.site import ALONE, asset
from support.variants import ALL

LETTERS = "aZ9 _-.'\"`\\{}%#$&<>|;:@/~äß日🦉\t"

START = '(name) => { window.engine = new Worker(name, { type: "module" }) }'
RENDER = """(answers) => new Promise((resolve, reject) => {
    engine.onmessage = ({ data }) => {
        if (["failed", "error"].includes(data.kind)) reject(new Error(data.reason));
        if (data.kind === "render") resolve(JSON.stringify(data));
    };
    engine.postMessage({ id: 1, kind: "render", answers });
})"""


CHANGES = """async (count) => {
    const questions = ["database", "example", "ci"].map((name) => `#question-${name}`).join()
    const frame = () => new Promise(requestAnimationFrame)
    const took = []
    while (took.length < count) {
        const radios = document.querySelector("form").querySelectorAll(
            `:is(${questions}) input:not(:checked)`
        )
        const before = performance.now()
        radios[(took.length * 5) % radios.length].click()
        do await frame()
        while (document.querySelector("#project").ariaBusy === "true")
        took.push(performance.now() - before)
    }
    return took
}"""


def compressed(folder: Path) -> dict[str, int]:
    """Return the bytes of each file as they travel."""
    return {
        path.relative_to(folder).as_posix(): min(
            len(gzip.compress(path.read_bytes())), path.stat().st_size
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def start(chromium: BrowserType, url: str, profile: str) -> tuple[float, float]:
    """Return the milliseconds until the default project is shown, and until the engine renders."""
    with chromium.launch_persistent_context(
        profile, executable_path=program("chromium"), args=ALONE
    ) as context:
        page = context.new_page()
        before = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.locator("[role=treeitem]").first.wait_for()
        shown = time.perf_counter()
        page.locator(".status.ready", has_text=" ms").wait_for()
        rendered = time.perf_counter()
    return (shown - before) * 1000, (rendered - before) * 1000


def starts(chromium: BrowserType, url: str, count: int) -> None:
    """Print how long a start takes, with an empty profile and again with the same."""
    times: dict[str, list[tuple[float, float]]] = {"cold": [], "warm": []}
    for _ in range(count):
        with tempfile.TemporaryDirectory() as profile:
            for measured in times.values():
                measured.append(start(chromium, url, profile))
    for kind, pairs in times.items():
        shown, rendered = (
            statistics.median(column) for column in zip(*pairs, strict=True)
        )
        slowest = max(rendered for _, rendered in pairs)
        print(
            f"{kind} start: default project after {shown:.0f} ms,"
            f" rendered by the engine after {rendered:.0f} ms (slowest {slowest:.0f} ms)"
        )


def changes(chromium: BrowserType, url: str, count: int) -> None:
    """Print how long it takes until the page shows the project of another answer."""
    with chromium.launch(executable_path=program("chromium"), args=ALONE) as browser:
        page = browser.new_page()
        page.goto(url)
        page.locator(".status.ready", has_text=" ms").wait_for()
        page.evaluate(CHANGES, 12)  # the first ones compile the templates
        times = page.evaluate(CHANGES, count)
    print(
        f"a change: {statistics.median(times):.0f} ms to the new project on the screen"
        f" (median of {count}, slowest {max(times):.0f} ms)"
    )


def random_answers(chance: random.Random) -> dict[str, Any]:
    """Return valid answers with a title that nobody would choose."""
    # A template without git has no kit to install.
    copied = [variant for variant in ALL if variant.kit == "copied"]
    answers = dict(chance.choice(copied).answers)
    if "project_name" in answers:
        title = "".join(chance.choices(LETTERS, k=chance.randint(1, 30)))
        answers["project_name"] = f"x{title}"
        answers["package_name"] = chance.choice(["my_app", "Hall", "a1"])
    return answers


def compare(
    page: Page, template: Path, answers: dict[str, Any]
) -> tuple[bool, float, float]:
    """Return whether both projects are equal, and what they took in the browser and here."""
    response = json.loads(page.evaluate(RENDER, answers))
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "my-app")
        before = time.perf_counter()
        copier.run_copy(str(template), project, data=answers, defaults=True, quiet=True)
        here = (time.perf_counter() - before) * 1000
        expected = {
            path.relative_to(project).as_posix(): without_origin(
                path.read_bytes().decode()
            )
            for path in project.rglob("*")
            if path.is_file()
        }
    files = {
        file["path"]: without_origin(file["text"])
        for file in response["render"]["files"]
    }
    return files == expected, response["milliseconds"], here


def without_origin(text: str) -> str:
    """Leave out where a project came from: Copier takes a folder here, and no release."""
    return re.sub(r"^(_commit|_src_path): .*\n", "", text, flags=re.MULTILINE)


def renders(chromium: BrowserType, url: str, count: int, seed: int) -> int:
    """Print how many random projects are equal, and what a render takes.

    Returns:
        How many are not.
    """
    chance = random.Random(seed)
    cases = [random_answers(chance) for _ in range(count)]
    with chromium.launch(executable_path=program("chromium"), args=ALONE) as browser:
        page = browser.new_page()
        page.goto(url + asset(SITE, "default"))
        page.evaluate(START, asset(SITE, "worker"))
        page.evaluate(RENDER, {})  # the first one compiles the templates
        with tempfile.TemporaryDirectory() as folder:
            template = Source.of(ROOT).copy(Path(folder))
            results = [compare(page, template, answers) for answers in cases]
    different = [
        answers
        for answers, (equal, *_) in zip(cases, results, strict=True)
        if not equal
    ]
    browser_ms, copier_ms = (
        statistics.median(result[column] for result in results) for column in (1, 2)
    )
    print(
        f"projects equal to Copier's: {count - len(different)} of {count} (seed {seed})"
    )
    print(
        f"a render: {browser_ms:.0f} ms in the browser, {browser_ms / copier_ms:.2f} of what"
        f" Copier takes here"
    )
    for answers in different:
        print(f"different: {answers}")
    return len(different)


def main() -> int:
    """Print the figures; the exit status is 1 where a project differs."""
    parser = argparse.ArgumentParser(description="Measure the starter page.")
    parser.add_argument("--starts", type=int, default=5, help="starts of each kind")
    parser.add_argument("--changes", type=int, default=40, help="clicks to measure")
    parser.add_argument(
        "--cases", type=int, default=200, help="random answers to compare"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sizes = compressed(SITE / "start")
    for name, size in sizes.items():
        print(f"{size:>9,} bytes  {name}")
    print(f"{sum(sizes.values()):>9,} bytes in all, compressed")
    with server(SITE, 0) as http, sync_playwright() as playwright:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{http.server_port}/start/"
        starts(playwright.chromium, url, options.starts)
        changes(playwright.chromium, url, options.changes)
        different = renders(playwright.chromium, url, options.cases, options.seed)
        http.shutdown()
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
