"""The kit's own source: its constants, and the settings of a run."""

from __future__ import annotations

import ast
import re

from _ext import renders
from support.releases import ROOT
from support.variants import FEATURES

KIT = ROOT / "template" / "{{ migrations_path }}" / "migration_kit"


def constant(name: str, module: str) -> ast.expr:
    """Return the value of a constant of a module."""
    for node in ast.parse((KIT / module).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if ast.unparse(target) == name:
                return node.value
    raise LookupError(name)


def markdown() -> str:
    """Return the settings of a run, as the page of a project with each of them has them."""
    everything = {"database": "postgresql", "tenants": "schema"}
    files = renders.render(everything | {"features": list(FEATURES["all"])})["files"]
    [page] = [file["text"] for file in files if file["path"] == "docs/migrations.md"]
    section = page.partition("## Settings\n")[2]
    rows = re.search(r"^\|.*?(?=\n\n)", section, re.DOTALL | re.MULTILINE)
    assert rows
    # Links within that page lead nowhere on this one.
    return re.sub(r"\[([^]]+)\]\(#[^)]*\)", r"\1", rows[0])
