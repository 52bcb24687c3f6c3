"""Who owns which file of a project, as questions/owners.jinja says."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pathspec import PathSpec

from support.releases import ROOT

# What the table asks of a project's answers, for a project that has everything.
EVERYTHING: dict[str, Any] = {
    "_copier_conf": {"answers_file": ".copier-answers.yml"},
    "agents": True,
    "base_location": "models",
    "ci": "github",
    "example": "tour",
    "existing": False,
    "kit": "copied",
    "migrations_path": "migrations",
    "package_name": "my_app",
    "rooms": ["branches", "diagram", "tenants", "testing"],
    "workflow_name": "ci",
}


def macros(answers: dict[str, Any]) -> Any:
    """Return the macros of questions/owners.jinja, called with some answers."""
    environment = Environment(
        loader=FileSystemLoader(ROOT),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"from_json": json.loads, "to_json": json.dumps}
    template = environment.get_template("questions/owners.jinja")
    return template.make_module(EVERYTHING | answers)


def table(**answers: Any) -> str:
    """Return the table of owners, for a project that has everything but what answers say."""
    return str(macros(answers).owners_table()).strip()


@cache
def patterns(owner: str) -> PathSpec[Any]:
    """Return the files of an owner; those of both that no line of the table names are missing."""
    found = json.loads(macros({}).owned_files())
    others: list[dict[str, Any]] = [
        {"ci": "gitlab"},
        {"base_location": "module"},
        {"existing": True, "workflow_name": "migrations"},
    ]
    for answers in others:  # each that moves a file
        found += json.loads(macros(answers).owned_files())
    lines, exceptions = [], []
    for file in found:
        if file["owner"] == owner and file["there"]:
            path = "/" + file["path"].replace("{db}", "**/")
            lines.append(f"{path}**" if path.endswith("/") else path)
            exceptions += [f"!{path}{name}" for name in file.get("but", [])]
    return PathSpec.from_lines("gitignore", lines + exceptions)


def owner_of(path: str) -> str:
    """Return whose a file is: `you`, `the template` or `both`.

    Args:
        path: in a project whose package is `my_app`, and whose migrations are in `migrations/`.
    """
    owners = ["the template", "you"]
    return next((one for one in owners if patterns(one).match_file(path)), "both")


def owned_by_user() -> PathSpec[Any]:
    """Return the files that copier.yml writes once, and never again."""
    text = (ROOT / "copier.yml").read_text(encoding="utf-8")
    settings = next(yaml.safe_load_all(text))
    context = {
        "_copier_conf": {"answers_file": ".copier-answers.yml"},
        "_copier_operation": "update",
        "base_location": "models",
        "migrations_path": "migrations",
        "package_name": "my_app",
    }
    jinja = Environment(trim_blocks=True, lstrip_blocks=True)
    lines = [*settings["_skip_if_exists"], *settings["_exclude"]]
    rendered = [jinja.from_string(line).render(context).split("\n") for line in lines]
    return PathSpec.from_lines(
        "gitignore", [line for part in rendered for line in part]
    )
