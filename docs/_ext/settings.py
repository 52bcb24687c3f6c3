"""The settings of env.py, of a run and of the kit, as the kit's own source says them."""

from __future__ import annotations

import ast
import re
from functools import cache

from _ext import renders
from _ext.markdown import table
from support.releases import ROOT
from support.variants import FEATURES

KIT = ROOT / "template" / "{{ migrations_path }}" / "migration_kit"

# A project whose own page on the migrations has every setting.
EVERYTHING = {
    "database": "postgresql",
    "tenants": "schema",
    "features": list(FEATURES["all"]),
}


@cache
def module(name: str) -> ast.Module:
    """Return a module of the kit as its syntax tree."""
    return ast.parse((KIT / f"{name}.py").read_text(encoding="utf-8"))


def function(name: str, where: str) -> ast.FunctionDef:
    """Return a function of a module."""
    found = [
        node
        for node in module(where).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    return found[0]


def described_arguments(docstring: str) -> dict[str, str]:
    """Return what a docstring says of each argument."""
    section = re.search(
        r"^Args:\n(.*?)(?:\n\n|\Z)", docstring, re.DOTALL | re.MULTILINE
    )
    assert section
    entries = re.split(r"^    (?=\w+: )", section[1], flags=re.MULTILINE)[1:]
    pairs = (" ".join(entry.split()).split(": ", 1) for entry in entries)
    return dict(pairs)


def run_markdown() -> str:
    """Return what `run()` takes as a list of definitions."""
    run = function("run", "environment")
    described = described_arguments(ast.get_docstring(run) or "")
    given: list[tuple[ast.arg, ast.expr | None]]
    given = [(argument, None) for argument in run.args.args]
    given += zip(run.args.kwonlyargs, run.args.kw_defaults, strict=True)
    entries = []
    for argument, default in given:
        shown = f"{argument.arg}: {annotation(argument)}"
        if default:
            shown += f" = {ast.unparse(default)}"
        entries.append(f"`{shown}`\n: {described[argument.arg]}")
    return "\n\n".join(entries)


def annotation(argument: ast.arg) -> str:
    """Return the type of an argument, in full where it has a name of its own."""
    text = ast.unparse(argument.annotation) if argument.annotation else ""
    text = text.strip("'")
    for node in ast.walk(module("environment")):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == text:
            text = ast.unparse(node.value)
    return text


def rules_markdown() -> str:
    """Return how options of Alembic are put together with the kit's."""
    values = {
        ast.unparse(
            node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        ): node.value
        for node in module("options").body
        if isinstance(node, ast.Assign | ast.AnnAssign)
    }
    rules, taken = values["RULES"], values["TAKEN"]
    assert isinstance(rules, ast.Dict)
    assert isinstance(taken, ast.Dict)
    rows = [("option", "yours and the kit's")]
    for key, rule in zip(rules.keys, rules.values, strict=True):
        said = ast.get_docstring(function(ast.unparse(rule), "options")) or ""
        rows.append((f"`{literal(key)}`", said.splitlines()[0]))
    for key, remedy in zip(taken.keys, taken.values, strict=True):
        rows.append((f"`{literal(key)}`", f"Refused: {literal(remedy)}."))
    return table(*rows)


def literal(node: ast.expr | None) -> str:
    """Return the text of a constant."""
    assert isinstance(node, ast.Constant)
    return str(node.value)


def settings_markdown() -> str:
    """Return the settings of a run, as a project's own page has them."""
    files = {file["path"]: file["text"] for file in renders.render(EVERYTHING)["files"]}
    page = files["docs/migrations.md"]
    section = page[page.index("## Settings\n") :]
    rows = re.search(r"^\|.*?(?=\n\n)", section, re.DOTALL | re.MULTILINE)
    assert rows
    # Links within that page lead nowhere on this one.
    return re.sub(r"\[([^]]+)\]\(#[^)]*\)", r"\1", rows[0])
