"""Settings of Sphinx for the pages of docs/."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent

# The extensions and the starter are beside this file.
sys.path.insert(0, str(HERE))

_project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]

project = "copier-alembic"
version = release = _project["version"]
language = "en"

extensions = [
    "myst_parser",
    "sphinx_copybutton",
    "_ext.layouts",
    "_ext.reference",
    "_ext.terminal",
    "_ext.trees",
]
nitpicky = True
# Quotes are those of code, also where a text of the template is shown.
smartquotes = False
exclude_patterns = ["_build", "starter"]
include_patterns = [
    "index.md",
    "tutorial.md",
    "how-to/**",
    "reference/**",
    "explanation/**",
]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

# What is copied from a terminal is its commands.
copybutton_selector = "div.highlight pre, .terminal pre"
copybutton_exclude = ".linenos, .gp, .go, .comment"

html_theme = "furo"
html_title = "copier-alembic"
html_static_path = ["_static"]
html_favicon = "_static/icon.svg"
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
templates_path = ["_templates"]
html_copy_source = False
html_use_index = False
html_show_copyright = False
html_show_sphinx = False
# Furo's own, with a way to the starter in front of the pages.
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
