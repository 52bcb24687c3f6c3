"""What locks and checks cost: `alembic upgrade head` here and in a project by `alembic init`.

``uv run python benchmarks/upgrade.py`` prints the ratios of the medians, of wall time and of the
program's CPU time. The commands of both projects take turns, so that a noisy machine slows both.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import URL

from everyday import Cost, cost_of, median
from projects import empty_database, scaffolds, script


def cost(project: Path, url: URL) -> Cost:
    """Return what one `alembic upgrade head` takes."""
    env = {
        "PYTHONPATH": "src",
        "DATABASE_URL": url.render_as_string(hide_password=False),
    }
    return cost_of(script("alembic"), "upgrade", "head", cwd=project, env=env)


def compare(database: str, rounds: int) -> dict[str, dict[str, Cost]]:
    """Return the medians by state of the database and by project."""
    times: dict[str, dict[str, list[Cost]]] = {
        state: {"stock": [], "ours": []} for state in ("fresh", "up to date")
    }
    with scaffolds(database, "tour") as projects:
        for number in range(rounds + 1):
            with ExitStack() as stack:
                urls = {
                    name: stack.enter_context(empty_database(database))
                    for name in projects
                }
                for state in times:
                    order = sorted(projects, reverse=bool(number % 2))
                    for name in order:
                        times[state][name].append(cost(projects[name], urls[name]))
    # The first round compiles the modules.
    return {
        state: {name: median(values[1:]) for name, values in by_name.items()}
        for state, by_name in times.items()
    }


def main() -> None:
    """Print a table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="commands of each kind")
    rounds = parser.parse_args().rounds
    print(f"{'database':<12}{'state':<12}{'stock':>9}{'ours':>9}{'ratio':>8}{'CPU':>8}")
    for database in ("sqlite", "postgresql", "mariadb"):
        for state, medians in compare(database, rounds).items():
            stock, ours = medians["stock"], medians["ours"]
            ratio = ours / stock
            print(
                f"{database:<12}{state:<12}{stock.wall:>7.3f} s{ours.wall:>7.3f} s"
                f"{ratio.wall:>8.3f}{ratio.cpu:>8.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
