"""Strict mypy and pyright find nothing in any project."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from support.commands import run, script
from support.projects import New, Render
from support.variants import (
    ENGINES,
    EXISTING,
    FEATURES,
    MIGRATING,
    ONE_OF_EACH,
    PAIRWISE,
    POSTGRESQL,
    SEVERAL,
    TENANTS,
    Variant,
    pairwise,
)


def settings(project: Path) -> dict[str, Any]:
    pyproject = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    found: dict[str, Any] = pyproject["tool"]["pyright"]
    return found


# What changes a project's own code, and not only where it is: whether it awaits its driver, and
# whether that is SQLite's. pyright reads all of the pairwise set below.
DIFFERENT_CODE = [
    Variant(**row) for row in pairwise(MIGRATING | {"engine": ENGINES[:4]})
]
OWN_SEVERAL = [variant for variant in SEVERAL if not variant.existing]


@pytest.mark.parametrize(
    "variant", [*DIFFERENT_CODE, *OWN_SEVERAL, *TENANTS[:2]], ids=str
)
def test_mypy_passes(new: New, variant: Variant) -> None:
    new(variant).mypy()


def test_pyright_passes_with_the_projects_own_settings(render: Render) -> None:
    project = render(Variant(POSTGRESQL, migrations_in_package=True))
    assert "0 errors, 0 warnings" in run(script("pyright"), cwd=project)


def test_pyright_passes_on_the_pairwise_set(render: Render, tmp_path: Path) -> None:
    """In one run, in which each project has its own settings; the one mistake of it is found.

    A project's settings leave the kit out, which is checked below.
    """
    environments = []
    for number, variant in enumerate([*PAIRWISE, *SEVERAL, *TENANTS, EXISTING[0]]):
        root = f"p{number}"
        shutil.copytree(render(variant), tmp_path / root)
        paths = ["src", variant.migrations]
        if variant.existing:
            package = tmp_path / root / variant.package
            package.mkdir(parents=True)
            models = "from sqlalchemy import MetaData\n\nBase = MetaData()\n"
            for name in ["models", *variant.more_databases]:
                (package / f"{name}.py").write_text(models)
        else:
            paths = settings(tmp_path / root)["extraPaths"]
        paths = [f"{root}/{path}" for path in paths]
        environments.append({"root": root, "extraPaths": paths})
    model = tmp_path / "p0" / PAIRWISE[0].package / "mistake.py"
    model.write_text("number: int = 'text'\n")
    config = {
        "executionEnvironments": environments,
        "include": ["p*"],
        "exclude": ["**/migration_kit"],
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    output = run(script("pyright"), "--stats", cwd=tmp_path, fails=True)
    [found] = re.findall(r"Found (\d+) source files", output)
    assert int(found) > 8 * len(environments)
    assert "1 error, 0 warnings" in output
    assert "mistake.py:1:" in output


def test_kit_is_strictly_typed_with_any_rooms(render: Render, tmp_path: Path) -> None:
    """Nothing that is left imports what is not there; tests/kit/core/ reads all of it at once."""
    for number, (features, engine) in enumerate(
        product(("no-feature", "default", "all"), ONE_OF_EACH)
    ):
        variant = Variant(engine, features=FEATURES[features])
        kit = render(variant) / variant.migrations / "migration_kit"
        # A package of another name for each: mypy reads all of them in one run.
        shutil.copytree(kit, tmp_path / f"kits/kit{number}")
    mypy = (sys.executable, "-m", "mypy", "--strict", "--config-file=", ".")
    output = run(*mypy, cwd=tmp_path / "kits")
    [found] = re.findall(r"no issues found in (\d+) source files", output)
    assert int(found) > 9 * 20
