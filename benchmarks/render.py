"""What a project costs to make: `copier copy` of this template, next to an empty one.

``uv run python benchmarks/render.py`` prints, for projects with few and with all features, ratios
of CPU time and of wall time. The empty template has no question, and as its files those of the
project, ready. Both are in a git repository of their own, and take turns.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

from everyday import Cost, cost_of
from projects import ROOT, run, script
from startup import FEATURES

# What a render reads of this repository.
PARTS = ["copier.yml", "questions", "parts", "template"]

SETTINGS = "_subdirectory: template\n"
ANSWERS = "{{ _copier_conf.answers_file }}.jinja"


def commit(folder: Path) -> None:
    """Put a template into git."""
    user = ["-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com"]
    run("git", "init", "--quiet", cwd=folder)
    run("git", "add", "--all", "--force", cwd=folder)
    run("git", *user, "commit", "--quiet", "--message", "Template", cwd=folder)


def ours(folder: Path) -> None:
    """Write this template, as it is in the working tree."""
    folder.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part)
        else:
            shutil.copy(ROOT / part, folder / part)
    commit(folder)


def empty(folder: Path, project: Path) -> None:
    """Write a template without questions that makes the same files."""
    shutil.copytree(project, folder / "template")
    (folder / "template/.copier-answers.yml").rename(folder / "template" / ANSWERS)
    (folder / "template" / ANSWERS).write_text("{{ _copier_answers | to_nice_yaml }}")
    (folder / "copier.yml").write_text(SETTINGS)
    commit(folder)


def copy(template: Path, project: Path, answers: list[str]) -> Cost:
    """Make a project, and return what that took."""
    command = ["copy", "--quiet", "--defaults", "--vcs-ref", "HEAD", *answers]
    shutil.rmtree(project, ignore_errors=True)
    return cost_of(script("copier"), *command, template, project, cwd=template, env={})


def compare(features: list[str], pairs: int) -> tuple[int, list[Cost], Cost]:
    """Return how many files there are, the ratios of each pair, and the median of ours."""
    answers = ["--data", "project_name=My App", "--data", "database=postgresql"]
    answers += ["--data", f"features=[{', '.join(features)}]"]
    with TemporaryDirectory() as name:
        folder = Path(name)
        ours(folder / "ours")
        copy(folder / "ours", folder / "project", answers)
        files = sum(path.is_file() for path in (folder / "project").rglob("*"))
        empty(folder / "empty", folder / "project")
        costs: dict[str, list[Cost]] = {"ours": [], "empty": []}
        for number in range(-1, pairs):  # the first pair compiles modules
            for kind in sorted(costs, reverse=bool(number % 2)):
                given = answers if kind == "ours" else []
                cost = copy(folder / kind, folder / "again", given)
                if number >= 0:
                    costs[kind].append(cost)
    ratios = [one / other for one, other in zip(*costs.values(), strict=True)]
    return (
        files,
        ratios,
        Cost(*map(statistics.median, zip(*costs["ours"], strict=True))),
    )


def main() -> None:
    """Print a row for each choice of features."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9, help="of each kind")
    parser.add_argument("--features", choices=FEATURES, help="one choice only")
    given = parser.parse_args()
    print(f"`copier copy`, PostgreSQL; medians of {given.pairs} pairs")
    print(
        f"{'features':<10}{'files':>7}{'CPU':>10}{'ratio':>8}{'wall':>10}{'ratio':>8}"
    )
    for name in [given.features] if given.features else FEATURES:
        files, ratios, cost = compare(FEATURES[name], given.pairs)
        wall, cpu = (statistics.median(one) for one in zip(*ratios, strict=True))
        print(
            f"{name:<10}{files:>7}{cost.cpu:>8.2f} s{cpu:>8.2f}"
            f"{cost.wall:>8.2f} s{wall:>8.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
