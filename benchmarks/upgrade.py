"""What locks and checks cost: `alembic upgrade head` here and in a project by `alembic init`.

``uv run python benchmarks/upgrade.py`` prints the ratio of the medians. The commands of both
projects take turns, so that a noisy machine slows both.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import URL

from projects import empty_database, run, scaffolds, script


def seconds(project: Path, url: URL) -> float:
    """Return the wall seconds of one `alembic upgrade head`."""
    env = {
        "PYTHONPATH": "src",
        "DATABASE_URL": url.render_as_string(hide_password=False),
    }
    start = time.perf_counter()
    run(script("alembic"), "upgrade", "head", cwd=project, env=env)
    return time.perf_counter() - start


def compare(database: str, rounds: int) -> dict[str, dict[str, float]]:
    """Return median seconds by state of the database and by project."""
    times: dict[str, dict[str, list[float]]] = {
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
                        times[state][name].append(seconds(projects[name], urls[name]))
    # The first round compiles the modules.
    return {
        state: {name: statistics.median(values[1:]) for name, values in by_name.items()}
        for state, by_name in times.items()
    }


def main() -> None:
    """Print a table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="commands of each kind")
    rounds = parser.parse_args().rounds
    print(f"{'database':<12}{'state':<12}{'stock':>9}{'ours':>9}{'ratio':>8}")
    for database in ("sqlite", "postgresql"):
        for state, medians in compare(database, rounds).items():
            stock, ours = medians["stock"], medians["ours"]
            ratio = f"{ours / stock:>8.3f}"
            print(
                f"{database:<12}{state:<12}{stock:>7.3f} s{ours:>7.3f} s{ratio}",
                flush=True,
            )


if __name__ == "__main__":
    main()
