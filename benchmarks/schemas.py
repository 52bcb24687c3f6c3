"""Random schemas, and changes of them, through our projects and those of `alembic init`.

``uv run python benchmarks/schemas.py`` takes 1,000 cases on each database up and down, as
`tests/support/roundtrip.py` has it, and prints how many pass here and there, with a small example
of each failure. It exits with 1 where stock Alembic does what we do not. "Other schema" means that
the revisions make something else than `create_all` does.

``--changes 1000`` takes as many changes of one property each, with rows, through our project only,
and prints a table by property: how many changes were seen, how many go both ways, how many
revisions ask for a review, and how many fail. It exits with 1 where any fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.changes import Change, changes, properties, smaller_changes, take
from support.roundtrip import Outcome, Runner, runners, running, template_copy
from support.schemas import DATABASES, Case, cases, shrink

Pair = tuple[Outcome, Outcome]
C = TypeVar("C")


def draw(strategy: st.SearchStrategy[C], count: int, number: int) -> list[C]:
    """Return different cases."""
    found: dict[C, None] = {}

    @seed(number)
    @settings(
        max_examples=count * 2,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(case: C) -> None:
        found[case] = None

    collect()
    return list(found)


def kind_of(pair: Pair) -> str:
    """Name the class of a result."""
    ours, stock = pair
    if "refused" in {ours.step, stock.step}:
        return "refused"
    if ours.passed and ours.differs:
        return "both, other schema" if stock.passed else "ours, other schema"
    if ours.passed:
        return "both" if stock.passed else "ours only"
    if stock.passed:
        return "stock only, other schema" if stock.differs else "stock only"
    return "neither"


Failures = dict[tuple[str, str], list[tuple[Case, Pair]]]


class Measurement:
    """Cases that go through pairs of processes on one database."""

    def __init__(self, database: str, pairs: list[dict[str, Runner]]) -> None:
        """Take processes; as many cases run at a time."""
        self.database, self.jobs = database, len(pairs)
        self.idle: SimpleQueue[dict[str, Runner]] = SimpleQueue()
        for pair in pairs:
            self.idle.put(pair)

    def run(self, case: Case) -> Pair:
        """Run a case in both projects of a pair at a time."""
        pair = self.idle.get()
        try:
            for runner in pair.values():
                runner.start(*case.programs(self.database))
            return pair["ours"].result(), pair["stock"].result()
        finally:
            self.idle.put(pair)

    def count(self, count: int, number: int) -> tuple[Counter[str], Failures]:
        """Return counts by class, and failures by class and signature."""
        counts: Counter[str] = Counter()
        failures: Failures = {}
        drawn = draw(cases(self.database), count, number)
        with ThreadPoolExecutor(self.jobs) as pool:
            for case, pair in zip(drawn, pool.map(self.run, drawn), strict=True):
                if counts.total() - counts["refused"] >= count:
                    break
                kind = kind_of(pair)
                counts[kind] += 1
                if kind not in {"both", "ours only", "refused"}:
                    failures.setdefault((kind, pair[0].signature), []).append(
                        (case, pair)
                    )
            pool.shutdown(cancel_futures=True)
        return counts, failures

    def smallest(
        self, kind: str, signature: str, examples: list[tuple[Case, Pair]], tries: int
    ) -> tuple[Case, Pair]:
        """Return the smallest example of a failure that some tries find."""
        case, _ = min(examples, key=lambda example: len(str(example[0])))

        def fails(smaller: Case) -> bool:
            found = self.run(smaller)
            return kind_of(found) == kind and found[0].signature == signature

        case = shrink(case, fails, tries)
        return case, self.run(case)


def report(title: str, case: Case, pair: Pair) -> None:
    """Print a failure."""
    ours, stock = pair
    print(f"\n--- {title}\n{case}")
    print(f"# ours: {ours.step} {ours.error[:400]} {ours.differs[:400]}")
    print(f"# stock: {stock.step} {stock.error[:300]}")
    if not title.startswith("neither"):
        print(f"# {ours.revisions}".replace("\n", "\n# "), flush=True)


# -------------------------------------------------------------------------------- Single changes

TITLES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}
Tally = dict[str, dict[str, Counter[str]]]


class Changes:
    """Single changes that go through processes on one database."""

    def __init__(self, database: str, processes: list[Runner]) -> None:
        """Take processes; as many changes run at a time."""
        self.database, self.jobs = database, len(processes)
        self.idle: SimpleQueue[Runner] = SimpleQueue()
        for process in processes:
            self.idle.put(process)

    def run(self, change: Case) -> Outcome:
        """Run a change in a process that is idle."""
        process = self.idle.get()
        try:
            return take(process, change)
        finally:
            self.idle.put(process)

    def count(self, drawn: list[Change], tally: Tally) -> list[tuple[Change, Outcome]]:
        """Count what becomes of changes, and return those that fail."""
        failures = []
        with ThreadPoolExecutor(self.jobs) as pool:
            for change, outcome in zip(drawn, pool.map(self.run, drawn), strict=True):
                counts = tally.setdefault(change.property, {}).setdefault(
                    self.database, Counter()
                )
                counts[outcome.step if outcome.step in OTHER else "changes"] += 1
                if outcome.step in {"refused", "no change"}:
                    continue
                counts["seen"] += outcome.step not in UNSEEN
                counts["both ways"] += outcome.passed
                counts["REVIEW"] += outcome.review
                counts["rows"] += outcome.step == "rows"
                if outcome.failed:
                    counts["failures"] += 1
                    counts[f"failure: {outcome.step}"] += 1
                    failures.append((change, outcome))
        return failures

    def smallest(self, change: Case, outcome: Outcome, tries: int) -> Case:
        """Return a smaller change that fails alike."""

        def fails(smaller: Case) -> bool:
            return self.run(smaller).signature == outcome.signature

        return shrink(change, fails, tries, smaller_changes)


OTHER = {"refused", "no change"}
UNSEEN = {
    "unseen",
    "false alarm",
    "first revision",
    "first upgrade",
    "revision",
    "died",
}


def changes_table(tally: Tally, databases: list[str]) -> str:
    """Return the table of properties and databases."""
    lines = [
        "Changes, of them seen / written both ways / with REVIEW / stopped by the rows / failures",
        "",
        "| property | " + " | ".join(TITLES[one] for one in databases) + " |",
        "| --- |" + " ---: |" * len(databases),
    ]
    total: dict[str, Counter[str]] = {one: Counter() for one in databases}
    for name, by_database in sorted(tally.items()):
        cells = [cell(by_database.get(one, Counter())) for one in databases]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        for one, counts in by_database.items():
            total[one].update(counts)
    lines.append(f"| all | {' | '.join(cell(total[one]) for one in databases)} |")
    for one in databases:
        listed = ", ".join(
            f"{name.removeprefix('failure: ')} {number}"
            for name, number in sorted(total[one].items())
            if name in OTHER or name.startswith("failure: ")
        )
        lines.append(f"\n{TITLES[one]}: {listed or 'nothing else'}")
    return "\n".join(lines)


def cell(counts: Counter[str]) -> str:
    """Return a cell."""
    if not counts["changes"]:
        return ""
    kinds = ("seen", "both ways", "REVIEW", "rows", "failures")
    numbers = " / ".join(str(counts[kind]) for kind in kinds)
    return f"{counts['changes']}: {numbers}"


def draw_changes(given: argparse.Namespace, database: str) -> list[Change]:
    """Return changes, as many of each property as of the others."""
    able = [one for one in properties(database) if given.only in one.name]
    share = -(-given.changes // len(able))
    lists = [draw(changes(database, one), share, given.seed)[:share] for one in able]
    turns = [one for turn in zip_longest(*lists) for one in turn if one]
    return turns[: given.changes]


def take_changes(given: argparse.Namespace, folder: Path, template: Path) -> int:
    """Take changes through our project; return how many fail."""
    tally: Tally = {}
    databases = given.database or DATABASES
    failed = 0
    for database in databases:
        start = time.perf_counter()
        place = folder / f"{database}-changes"
        with running(place, template, database, given.jobs) as processes:
            taken = Changes(database, processes)
            drawn = draw_changes(given, database)
            failures = taken.count(drawn, tally)
            seconds = time.perf_counter() - start
            print(f"{database}: {len(drawn)} changes in {seconds:.0f} s", flush=True)
            found: dict[str, list[tuple[Change, Outcome]]] = {}
            for change, outcome in failures:
                found.setdefault(f"{change.property}: {outcome.signature}", []).append(
                    (change, outcome)
                )
            for title, examples in sorted(found.items()):
                change, outcome = min(examples, key=lambda one: len(str(one[0])))
                smaller = taken.smallest(change, outcome, given.tries)
                print(f"\n--- {database} ({len(examples)}): {title}\n{smaller}")
                # A smaller one may fail for its rows.
                last = taken.run(smaller)
                print(f"# {last.step}: {last.error[:1500]}".replace("\n", "\n# "))
                print(f"# {last.revisions}".replace("\n", "\n# "), flush=True)
        failed += len(failures)
    print("\n" + changes_table(tally, databases))
    return failed


def main() -> None:
    """Print counts, then the examples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="on each database")
    parser.add_argument("--database", choices=DATABASES, action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tries", type=int, default=30, help="to make a failure small")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time")
    parser.add_argument("--changes", type=int, help="single changes on each database")
    parser.add_argument("--only", default="", help="a part of a property's name")
    given = parser.parse_args()
    worse = 0
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        template = template_copy(Path(folder, "template"))
        if given.changes:
            sys.exit(bool(take_changes(given, Path(folder), template)))
        for database in given.database or DATABASES:
            start = time.perf_counter()
            with ExitStack() as stack:
                pairs = []
                for job in range(given.jobs):
                    place = Path(folder, f"{database}{job}")
                    place.mkdir()
                    pairs.append(
                        stack.enter_context(runners(place, template, database))
                    )
                measurement = Measurement(database, pairs)
                counts, failures = measurement.count(given.cases, given.seed)
                seconds = time.perf_counter() - start
                listed = ", ".join(f"{kind} {n}" for kind, n in sorted(counts.items()))
                print(f"{database}: {listed} ({seconds:.0f} s)", flush=True)
                for (kind, signature), examples in sorted(failures.items(), key=repr):
                    title = f"{kind} ({len(examples)}): {signature}"
                    found = measurement.smallest(kind, signature, examples, given.tries)
                    report(title, *found)
            worse += counts["stock only"]
    sys.exit(bool(worse))


if __name__ == "__main__":
    main()
