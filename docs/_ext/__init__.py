"""Sphinx extensions of the site: what its pages show is rendered and run when it is built."""

import sys
from pathlib import Path

# The tests know how a program is started, where the servers are, and what a release was.
sys.path.append(str(Path(__file__).parents[2] / "tests"))
