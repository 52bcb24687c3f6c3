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
    for node in module(where).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise LookupError(name)


def constant(name: str, where: str) -> ast.expr:
    """Return the value of a constant of a module."""
    for node in module(where).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if ast.unparse(target) == name:
                return node.value
    raise LookupError(name)


def run_markdown() -> str:
    """Return what `run()` takes as a list of definitions."""
    run = function("run", "environment")
    docstring = ast.get_docstring(run) or ""
    section = docstring.partition("\nArgs:\n")[2].partition("\n\n")[0]
    entries = re.split(r"^    (?=\w+: )", section, flags=re.MULTILINE)[1:]
    described = dict(" ".join(entry.split()).split(": ", 1) for entry in entries)
    given: list[tuple[ast.arg, ast.expr | None]]
    given = [(argument, None) for argument in run.args.args]
    given += zip(run.args.kwonlyargs, run.args.kw_defaults, strict=True)
    parts = []
    for argument, default in given:
        shown = f"{argument.arg}: {annotation(argument)}"
        if default:
            shown += f" = {ast.unparse(default)}"
        parts.append(f"`{shown}`\n: {described[argument.arg]}")
    return "\n\n".join(parts)


def annotation(argument: ast.arg) -> str:
    """Return the type of an argument, in full if it has its own name."""
    text = ast.unparse(argument.annotation).strip("'") if argument.annotation else ""
    try:
        return ast.unparse(constant(text, "environment"))
    except LookupError:
        return text


def rules_markdown() -> str:
    """Return how options of Alembic are combined with the kit's."""
    rules, taken = constant("RULES", "options"), constant("TAKEN", "options")
    assert isinstance(rules, ast.Dict)
    rows = [("option", "yours and the kit's")]
    for key, rule in zip(rules.keys, rules.values, strict=True):
        said = ast.get_docstring(function(ast.unparse(rule), "options")) or ""
        assert key
        rows.append((f"`{ast.literal_eval(key)}`", said.splitlines()[0]))
    for name, remedy in ast.literal_eval(taken).items():
        rows.append((f"`{name}`", f"Refused: {remedy}."))
    return table(*rows)


def settings_markdown() -> str:
    """Return the settings of a run, as a project's own page has them."""
    files = {file["path"]: file["text"] for file in renders.render(EVERYTHING)["files"]}
    section = files["docs/migrations.md"].partition("## Settings\n")[2]
    rows = re.search(r"^\|.*?(?=\n\n)", section, re.DOTALL | re.MULTILINE)
    assert rows
    # Links within that page lead nowhere on this one.
    return re.sub(r"\[([^]]+)\]\(#[^)]*\)", r"\1", rows[0])
