"""The starter page, built and served, and a browser that looks at it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, sync_playwright

from serve import server
from starter.build import build
from starter.source import Source
from support import history, releases
from support.servers import missing_package, program

# Nothing that a browser does on its own: it would look for hosts that a test machine cannot reach.
ALONE = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    # A container's root may not use Chromium's own sandbox.
    "--no-sandbox",
]

# For the next build as well: what npm and pip brought.
WORK = releases.ROOT / "docs" / "_build" / "starter"


def asset(site: Path, name: str) -> str:
    """Return the name of a file of the starter page, with the hash in it."""
    [path] = (site / "start").glob(f"{name}-*")
    return path.name


@pytest.fixture(scope="session")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template of the working tree as a repository that is tagged `NOW`, and then `NEXT`.

    The page is built from the first tag, next to the repository.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    repository = shared / "copier-alembic"
    WORK.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(WORK.with_suffix(".lock")):
        if not repository.exists():
            repository.mkdir()
            history.git(repository, "init", "--quiet")
            history.release(releases.copy_template(repository), history.NOW)
            build(Source.of(repository), WORK, shared / "site" / "start")
            readme = repository / "template/README.md.jinja"
            readme.write_text(readme.read_text() + "\nThe next release.\n")
            history.release(repository, history.NEXT)
    return repository


@pytest.fixture(scope="session")
def starter(tagged: Path) -> Iterator[str]:
    """The address of the starter page."""
    with server(tagged.with_name("site"), 0) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/start/"
        http.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; everything that it does on its own is switched off."""
    if reason := missing_package("chromium"):
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium
        yield chromium.launch(executable_path=program("chromium"), args=ALONE)
