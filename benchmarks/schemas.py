"""Random schemas, and changes of them, through our projects and those of `alembic init`.

``uv run python benchmarks/schemas.py`` takes 1,000 cases on each database up and down, as
`tests/support/roundtrip.py` has it, and prints how many pass here and there, with a small example
of each failure. It exits with 1 where stock Alembic does what we do not. "Other schema" means that
the revisions make something else than `create_all` does.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, given, seed, settings

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.roundtrip import Outcome, Runner, runners, template_copy
from support.schemas import DATABASES, Case, cases, shrink

Pair = tuple[Outcome, Outcome]


def draw(database: str, count: int, number: int) -> list[Case]:
    """Return different cases."""
    found: dict[Case, None] = {}

    @seed(number)
    @settings(
        max_examples=count * 2,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(database))
    def collect(case: Case) -> None:
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
        drawn = draw(self.database, count, number)
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


def main() -> None:
    """Print counts, then the examples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="on each database")
    parser.add_argument("--database", choices=DATABASES, action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tries", type=int, default=30, help="to make a failure small")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time")
    given = parser.parse_args()
    worse = 0
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        template = template_copy(Path(folder, "template"))
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
