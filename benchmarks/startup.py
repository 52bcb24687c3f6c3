"""What a command costs that finds nothing to do, next to the same command of `alembic init`.

``uv run python benchmarks/startup.py`` prints, for `alembic current` and `alembic upgrade head` at
the head, ratios of CPU time: the median of all pairs, and between which ratios the middle half is.
`python migrations ready` is compared with `alembic current`, if it is there.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from everyday import cost_of
from projects import DRIVERS, empty_database, scaffolds, script

DEFAULT = ["autogenerate", "branches", "testing"]
FEATURES = {
    "none": [],
    "default": DEFAULT,
    "all": [
        *(*DEFAULT, "lint", "renames", "squash"),
        *("backfill", "diagram", "online", "ready"),
    ],
}
COMMANDS = [("current",), ("upgrade", "head")]
READY = (Path(sys.executable), "migrations", "ready")


def compare(database: str, features: list[str], pairs: int) -> dict[str, list[float]]:
    """Return the ratios of CPU time by command, one of each pair."""
    ratios: dict[str, list[float]] = {}
    with (
        scaffolds(database, "hero", features) as projects,
        empty_database(database) as url,
    ):
        env = {
            "DATABASE_URL": url.render_as_string(hide_password=False),
            "PYTHONPATH": "src",
        }
        for words in [*COMMANDS, *([("ready",)] if "ready" in features else [])]:
            own: tuple[str | Path, ...] = (script("alembic"), *words)
            commands = {"stock": own, "ours": own}
            if words == ("ready",):
                commands = {"stock": (script("alembic"), "current"), "ours": READY}
            for number in range(-1, pairs):  # the first pair compiles modules
                costs = {
                    name: cost_of(*commands[name], cwd=projects[name], env=env).cpu
                    for name in sorted(projects, reverse=bool(number % 2))
                }
                if number >= 0:
                    ratio = costs["ours"] / costs["stock"]
                    ratios.setdefault(" ".join(words), []).append(ratio)
            cost_of(script("alembic"), "upgrade", "head", cwd=projects["ours"], env=env)
    return ratios


def main() -> None:
    """Print a row for each database, choice of features and command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=25, help="of each kind")
    parser.add_argument("--database", choices=DRIVERS, help="one database only")
    parser.add_argument("--features", choices=FEATURES, help="one choice only")
    given = parser.parse_args()
    print(f"CPU time, ratio to `alembic init`; {given.pairs} pairs of each kind")
    print(f"{'database':<12}{'features':<10}{'command':<16}{'median':>8}  middle half")
    for database in [given.database] if given.database else DRIVERS:
        for name in [given.features] if given.features else FEATURES:
            found = compare(database, FEATURES[name], given.pairs)
            for command, ratios in found.items():
                low, middle, high = statistics.quantiles(ratios, n=4)
                print(
                    f"{database:<12}{name:<10}{command:<16}{middle:>8.3f}"
                    f"  {low:.3f} to {high:.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
