"""Build the site: `python docs/build.py` writes it to docs/_build/site."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from starter.build import build as build_starter
from starter.source import ROOT, Source

DOCS = Path(__file__).parent
BUILD = DOCS / "_build"


def main(arguments: list[str] | None = None) -> int:
    """Build the pages and the starter.

    Returns:
        The exit status: not 0 where a page has a fault, or a command on it fails.
    """
    parser = argparse.ArgumentParser(description="Build the site.")
    parser.add_argument(
        "--address",
        help="what `copier copy` takes, for example gh:OWNER/copier-alembic; else this checkout",
    )
    options = parser.parse_args(arguments)
    site = BUILD / "site"
    # What Sphinx remembers stays out of the folder that is published.
    sphinx = ["-W", "-q", "-j", "auto", "-d", str(BUILD / "doctrees")]
    if status := build_main([*sphinx, str(DOCS), str(site)]):
        return status
    build_starter(Source.of(ROOT, options.address), BUILD / "starter", site / "start")
    print(f"{site} is built; `python docs/serve.py` serves it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
