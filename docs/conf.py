"""Settings of Sphinx for the pages of docs/."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent

# The extensions and the starter are in this folder.
sys.path.insert(0, str(HERE))

from _ext import renders

_project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]

project = "copier-alembic"
version = release = _project["version"]
language = "en"

extensions = [
    "myst_parser",
    "sphinx_copybutton",
    "_ext.reference",
    "_ext.terminal",
]
nitpicky = True
# Quotes are those of code, even if a text of the template is shown.
smartquotes = False
exclude_patterns = ["_build", "starter"]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

# What is copied from a terminal is its commands.
copybutton_exclude = ".linenos, .gp, .go, .comment"

html_theme = "furo"
html_title = "copier-alembic"
html_static_path = ["_static"]
html_favicon = "_static/icon.svg"
html_css_files = ["colors.css", "site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
templates_path = ["_templates"]
html_copy_source = False
html_use_index = False
html_show_copyright = False
html_show_sphinx = False
# The address of the site, for the links that search engines follow.
html_baseurl = os.environ.get("SITE_URL", "")
html_context = {"repository": renders.repository()}
if renders.repository():
    html_theme_options = {
        "source_repository": renders.repository(),
        "source_branch": "main",
        "source_directory": "docs/",
        "top_of_page_buttons": ["edit"],
    }

# Pages that moved.
redirects = {"explanation/alternatives": "explanation/why"}


def redirect(app: Sphinx) -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield a page that leads on for each that moved."""
    for old, new in redirects.items():
        yield old, {"target": app.builder.get_relative_uri(old, new)}, "redirect.html"


def setup(app: Sphinx) -> None:
    """Add the pages that moved."""
    app.connect("html-collect-pages", redirect)
