"""Where stock Alembic takes a schema up and down, and changes it, we do: whatever is in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

from support.changes import Change, plain_changes, take, together
from support.databases import missing
from support.roundtrip import Outcome, Runner, runners
from support.schemas import (
    CONVENTION,
    DATABASES,
    Case,
    Column,
    Schema,
    Table,
    cases,
    kind_cases,
)

ID = Column("id", "sa.Integer()", ("primary_key=True",), "1")


def table(*columns: Column, items: tuple[str, ...] = (), name: str = "t") -> Table:
    return Table(name, (ID, *columns), items)


def becomes(before: Column, after: Column) -> Case:
    """A column that changes in a table with a row."""
    return Case(Schema((table(before),)), Schema((table(after),)), rows=True)


def default(text: str, kind: str = "sa.Text()", value: str = "'a'") -> Column:
    return Column("x", kind, (f"server_default={text}",), value)


# What was wrong once, in its smallest form. MariaDB's come from `kind_cases` for the most part.
EVERYWHERE = [
    becomes(default('"it\'s"', "sa.String(20)"), default('"isn\'t"', "sa.String(20)")),
    becomes(
        default("\"'quoted'\"", "sa.String(20)"), default('"a\'"', "sa.String(20)")
    ),
    becomes(
        default("'a :b'", "sa.String(20)"), Column("x", "sa.String(20)", (), "'a'")
    ),
    becomes(default("'100%'", "sa.String(20)"), default("'%s'", "sa.String(20)")),
    becomes(default("'(a)'", "sa.String(20)"), default("'a'", "sa.String(20)")),
    becomes(
        default("'0'", "sa.Integer()", "1"), default("'0'", "sa.BigInteger()", "1")
    ),
    Case(
        Schema((Table("t", (replace(ID, type="sa.SmallInteger()"),)),)),
        Schema((table(), table(name="u"))),
    ),
]
# PostgreSQL writes the default of a changed type otherwise than that of a new column.
OTHER_TYPE = becomes(
    default("'0'", "sa.Integer()", "1"), default("'0'", "sa.BigInteger()", "1")
)
# MySQL and MariaDB want brackets around it; SQLAlchemy writes them for CREATE only.
SUM = becomes(
    default("sa.text('1 + 1')", "sa.Integer()", "1"),
    default("sa.text('2 + 1')", "sa.Integer()", "1"),
)
REMAINDER = "sa.CheckConstraint('x % 5 < 5', name='remainder')"
CHECKED = Case(Schema((table(Column("x", "sa.Integer()"), items=(REMAINDER,)),)))
QUOTE_IN_NAME = Case(
    Schema((table(items=("sa.CheckConstraint('id > 0', name='a\"b')",)),))
)
# SQLAlchemy cuts a name that is too long, and ends it with a hash.
LONG = "sa.CheckConstraint('x > 0', name='" + 60 * "c" + "')"
# What adds or alters the column makes the CHECK of its type.
LETTER = "sa.Enum('a', 'b', native_enum=False, create_constraint=True, name='letter')"
BOUND = Case(
    Schema((table(Column("x", "sa.String(1)", (), "'a'")),), (CONVENTION,)),
    Schema(
        (table(Column("x", LETTER), Column("y", LETTER.replace("er'", "s'"))),),
        (CONVENTION,),
    ),
)
X = Column("x", "sa.Integer()")
LONG_NAME = Case(Schema((table(X, items=(LONG,)),), (CONVENTION,)))
CIRCLE = Case(
    Schema((table(),), (CONVENTION,)),
    Schema(
        (
            table(),
            Table(
                "a",
                (ID, Column("b_id", "sa.Integer()", (), "1")),
                ("sa.ForeignKeyConstraint(['b_id'], ['b.id'], use_alter=True)",),
            ),
            Table(
                "b",
                (ID, Column("a_id", "sa.Integer()", (), "1")),
                ("sa.ForeignKeyConstraint(['a_id'], ['a.id'])",),
            ),
        ),
        (CONVENTION,),
    ),
    rows=True,
)
# A table that Alembic's operations do not say as a whole.
ODD_COLUMNS = (
    Column("per%cent", "sa.Integer()", ("comment='two\\nlines'",)),
    Column("with space", "sa.Integer()"),
)
ODD = (
    "sa.UniqueConstraint('with space', postgresql_include=['per%cent'], name='uq_t')",
    "sa.CheckConstraint(sa.column('with space') > 1)",
)
ODD_NAMES = Case(
    Schema((table(*ODD_COLUMNS, items=ODD),)),
    Schema((table(*ODD_COLUMNS, items=ODD[:1]),)),
)
# The server names the CHECK after its column.
SPACE_IN_NAME = Case(
    Schema((table(*ODD_COLUMNS[1:], items=ODD[1:]),)),
    Schema((table(*ODD_COLUMNS[1:]),)),
)
NO_CIRCLE = Case(CIRCLE.after, CIRCLE.before) if CIRCLE.after else CIRCLE
KEY = "sa.ForeignKeyConstraint(['x'], ['t.id'], name='key')"
NO_KEY = Case(
    Schema((table(Column("x", "sa.Integer()"), items=(KEY,)),)),
    Schema((table(Column("x", "sa.Integer()")),)),
)

# Each has its examples of its own kind, and how many cases fit into the suite's time.
COUNTS = {"sqlite": 25, "postgresql": 15, "mariadb": 12}


@pytest.fixture(scope="module", params=DATABASES)
def pair(
    request: pytest.FixtureRequest,
    template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Runner]]:
    """A project of ours and a stock one, on a database each."""
    database = request.param
    if database != "sqlite" and (reason := missing(database)):
        pytest.skip(reason)
    with runners(tmp_path_factory.mktemp("pair"), template, database) as found:
        yield found


def name_of(pair: dict[str, Runner]) -> str:
    return pair["ours"].url.get_backend_name()


def run(runner: Runner, case: Case) -> Outcome:
    return runner.run(*case.programs(runner.url.get_backend_name()))


def test_what_stock_alembic_does_we_do(pair: dict[str, Runner]) -> None:
    database = name_of(pair)

    @settings(
        max_examples=COUNTS[database],
        derandomize=True,
        database=None,
        deadline=None,
        # A shrink takes seconds a step: `benchmarks/schemas.py` does that.
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(database))
    @example(QUOTE_IN_NAME)
    def each(case: Case) -> None:
        ours = run(pair["ours"], case)
        if not ours.passed and ours.step != "refused":
            stock = run(pair["stock"], case)
            assert not stock.passed, (
                f"{case}\n{ours.step}: {ours.error}\n{ours.revisions}"
            )

    each()


def test_what_once_failed_succeeds(pair: dict[str, Runner]) -> None:
    once = [CIRCLE, NO_CIRCLE, CHECKED, NO_KEY, OTHER_TYPE, LONG_NAME, BOUND, SUM]
    for case in [*EVERYWHERE, *once, ODD_NAMES, SPACE_IN_NAME]:
        outcome = run(pair["ours"], case)
        assert outcome.passed, f"{case}\n{outcome.step}: {outcome.error}"
        assert not outcome.differs or case == OTHER_TYPE, f"{case}\n{outcome.differs}"


# Types that a downgrade leaves behind.
UNABLE = ["postgresql.DOMAIN(", "schema='other'"]


def test_each_type_and_default_is_no_drift(pair: dict[str, Runner]) -> None:
    """All that the database accepts: many tables at a time, and one by one where it refuses."""
    columns = [
        one.columns[1]
        for case in kind_cases(name_of(pair))
        for one in case.before.tables
        if not any(name in one.columns[1].type for name in UNABLE)
    ]
    accepted = 0
    for number in range(0, len(columns), 100):
        accepted += succeed(pair["ours"], columns[number : number + 100])
    assert accepted > 0.9 * len(columns)


def succeed(runner: Runner, columns: list[Column]) -> int:
    """Take columns up and down, ten in a table; return how many the database accepts."""
    tables = [
        table(*unlike(columns[number : number + 10]), name=f"t{number}")
        for number in range(0, len(columns), 10)
    ]
    outcome = run(runner, Case(Schema(tuple(tables))))
    if outcome.step == "refused":
        half = len(columns) // 2
        if not half:
            return 0
        return succeed(runner, columns[:half]) + succeed(runner, columns[half:])
    assert outcome.passed, f"{outcome.step}: {outcome.error}"
    assert not outcome.differs, outcome.differs
    return len(columns)


def unlike(columns: list[Column]) -> list[Column]:
    """Give columns of a table names of their own."""
    return [replace(one, name=f"x{number}") for number, one in enumerate(columns)]


def test_each_property_is_seen_and_changes_both_ways(
    pair: dict[str, Runner], subtests: pytest.Subtests
) -> None:
    """Of all changes that a database accepts, together where they can be."""
    changes = list(plain_changes(name_of(pair)))
    refused = 0
    for number in range(0, len(changes), 30):
        for change, outcome in failing(pair["ours"], changes[number : number + 30]):
            if outcome.step == "refused":
                refused += 1
                continue
            with subtests.test(change.property):
                pytest.fail(f"{change}\n{outcome.step}: {outcome.error}")
    assert refused < 0.1 * len(changes)


def failing(runner: Runner, changes: list[Change]) -> Iterator[tuple[Change, Outcome]]:
    """Yield the changes that fail on their own, or that the database refuses."""
    half = len(changes) // 2
    outcome = take(runner, together(changes) if half else changes[0])
    if half and (outcome.failed or outcome.step == "refused"):
        yield from failing(runner, changes[:half])
        yield from failing(runner, changes[half:])
    elif outcome.failed or outcome.step == "refused":
        yield changes[0], outcome


BREAKS = {
    "differences.py": ('if item[2] != "sql"', "if False"),
    "render.py": ("return repr(item.arg)", "return repr(item.arg.upper())"),
}


@pytest.mark.parametrize("module", BREAKS)
def test_a_mistake_is_found(module: str, template: Path, tmp_path: Path) -> None:
    """A kit that compares nothing, or renders a default wrong, does not pass these tests."""
    broken = tmp_path / "template"
    shutil.copytree(template, broken)
    path = broken / "template/{{ migrations_path }}/migration_kit/autogenerate" / module
    before, after = BREAKS[module]
    source = path.read_text(encoding="utf-8")
    assert before in source
    path.write_text(source.replace(before, after), encoding="utf-8")
    with runners(tmp_path, broken, "sqlite") as found:
        outcomes = (run(found["ours"], case) for case in EVERYWHERE)
        assert any(not one.passed or one.differs for one in outcomes)
