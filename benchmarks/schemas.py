"""Random schemas, and changes of them, through our projects and those of `alembic init`.

``uv run python benchmarks/schemas.py`` takes 1,000 cases on each database up and down, as
`tests/support/roundtrip.py` has it, and prints how many pass here and there, with a small example
of each failure. It exits with 1 where stock Alembic does what we do not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
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


def both(pair: dict[str, Runner], database: str, case: Case) -> Pair:
    """Run a case in both projects at a time."""
    for runner in pair.values():
        runner.start(*case.programs(database))
    return pair["ours"].result(), pair["stock"].result()


def kind_of(pair: Pair) -> str:
    """Name the class of a result."""
    ours, stock = pair
    if "refused" in {ours.step, stock.step}:
        return "refused"
    if ours.passed and ours.differs:
        return "both, other schema" if stock.passed else "ours, other schema"
    if ours.passed:
        return "both" if stock.passed else "ours only"
    return "stock only" if stock.passed else "neither"


def measure(
    database: str, count: int, number: int, jobs: int, template: Path, folder: Path
) -> tuple[Counter[str], list[tuple[str, str, Case, Pair]]]:
    """Return counts by class, and for each failure its class, signature, example and results."""
    counts: Counter[str] = Counter()
    failures: dict[tuple[str, str], list[tuple[Case, Pair]]] = {}
    with ExitStack() as stack:
        idle: SimpleQueue[dict[str, Runner]] = SimpleQueue()
        for job in range(jobs):
            place = folder / f"{database}{job}"
            place.mkdir()
            idle.put(stack.enter_context(runners(place, template, database)))

        def one(case: Case) -> Pair:
            pair = idle.get()
            try:
                return both(pair, database, case)
            finally:
                idle.put(pair)

        with ThreadPoolExecutor(jobs) as pool:
            drawn = draw(database, count, number)
            for case, pair in zip(drawn, pool.map(one, drawn), strict=True):
                kind = kind_of(pair)
                if counts.total() - counts["refused"] >= count:
                    break
                counts[kind] += 1
                if kind not in {"both", "ours only", "refused"}:
                    signature = pair[0].signature
                    failures.setdefault((kind, signature), []).append((case, pair))
            pool.shutdown(cancel_futures=True)
        small = []
        for (kind, signature), examples in sorted(failures.items(), key=repr):
            case, pair = min(examples, key=lambda example: len(str(example[0])))

            def fails(smaller: Case, kind: str = kind, like: str = signature) -> bool:
                found = one(smaller)
                return kind_of(found) == kind and found[0].signature == like

            case = shrink(case, fails, 60 if kind != "neither" else 25)
            small.append((f"{kind} ({len(examples)})", signature, case, one(case)))
    return counts, small


def report(small: list[tuple[str, str, Case, Pair]]) -> Iterator[str]:
    """Yield the lines about failures."""
    for kind, signature, case, (ours, stock) in small:
        yield f"\n--- {kind}: {signature}"
        yield str(case)
        yield f"# ours: {ours.step} {ours.error[:400]} {ours.differs[:400]}"
        yield f"# stock: {stock.step} {stock.error[:300]}"
        if not kind.startswith("neither"):
            yield f"# {ours.revisions}".replace("\n", "\n# ")


def main() -> None:
    """Print counts, then the examples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="on each database")
    parser.add_argument("--database", choices=DATABASES, action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time")
    given = parser.parse_args()
    worse = 0
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        template = template_copy(Path(folder, "template"))
        for database in given.database or DATABASES:
            start = time.perf_counter()
            counts, small = measure(
                database, given.cases, given.seed, given.jobs, template, Path(folder)
            )
            seconds = time.perf_counter() - start
            listed = ", ".join(f"{kind} {n}" for kind, n in sorted(counts.items()))
            print(f"{database}: {listed} ({seconds:.0f} s)", flush=True)
            print(*report(small), sep="\n", flush=True)
            worse += counts["stock only"]
    sys.exit(bool(worse))


if __name__ == "__main__":
    main()
