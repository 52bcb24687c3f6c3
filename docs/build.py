"""Build the site: `python docs/build.py` writes it to docs/_build/site."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from starter.build import build as build_starter
from starter.source import ROOT, Source

DOCS = Path(__file__).parent
BUILD = DOCS / "_build"


def main(arguments: list[str] | None = None) -> int:
    """Build the pages and the starter, and return the exit status."""
    parser = argparse.ArgumentParser(description="Build the site.")
    parser.add_argument(
        "--address",
        help="the template in every command, for example gh:me/copier-alembic; "
        "default: SITE_ADDRESS, else git's origin",
    )
    options = parser.parse_args(arguments)
    if options.address:
        os.environ["SITE_ADDRESS"] = options.address
    from _ext.renders import ADDRESS, PLACEHOLDER  # which read the variable

    known = None if ADDRESS == PLACEHOLDER else ADDRESS
    site = BUILD / "site"
    print(f"1 of 2: pages for {ADDRESS}; commands of new pages run, in a few minutes")
    # What Sphinx remembers stays out of the folder that is published.
    sphinx = ["-W", "--keep-going", "-j", "auto", "-d", str(BUILD / "doctrees")]
    if status := build_main([*sphinx, str(DOCS), str(site)]):
        return status
    print(f"2 of 2: starter page for {known or f'this checkout, {ROOT}'}")
    build_starter(Source.of(ROOT, known), BUILD / "starter", site / "start")
    print(f"{site} is built; `python docs/serve.py` serves it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
