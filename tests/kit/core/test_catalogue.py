"""Each message of the kit has an entry in the catalogue, and each entry is a message of the kit."""

from __future__ import annotations

import ast
import re

import pytest

from support import messages
from support.arrows import KIT

ENTRIES = [entry for _, entries in messages.groups() for entry in entries]
KITS = {messages.pattern(entry.text): entry for entry in ENTRIES if not entry.by}


def test_each_message_has_an_entry() -> None:
    """Write it into docs/messages.toml; Troubleshooting shows it."""
    found = messages.messages()
    assert {place: text for text, place in found.items() if text not in KITS} == {}


def test_each_entry_is_a_message() -> None:
    """Change or delete it in docs/messages.toml."""
    found = messages.messages()
    assert [entry.text for text, entry in KITS.items() if text not in found] == []


def test_headings_differ() -> None:
    titles = [entry.title for entry in ENTRIES]
    assert sorted(titles) == sorted({*titles})


def test_messages_are_written_alike() -> None:
    """One line without a full stop at its end; no "please", no contraction, one semicolon."""
    wrong = [text for text in KITS if re.search(r"[.!\n]$|(?i:please)|n't|;.*;", text)]
    assert wrong == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            'raise CommandError("gone: no file. Restore it")',
            "gone: no file. Restore it",
        ),
        ('raise CommandError(f"{a} is {b!r}, " + f"not {c}")', "{} is {}, not {}"),
        ('log.warning("left alone: %s", one)', "left alone: {}"),
        ('text = "it broke"\nif a:\n    raise CommandError(text)', "it broke"),
        (
            'def f(a):\n    return f"no {a} here"\nraise CommandError(f(a))',
            "no {} here",
        ),
        ('with one_line("it failed"):\n    f()', "it failed: {}"),
        ('def remedy(a):\n    return f"Run `{a} head`"', "Run `{} head`"),
        ('class A:\n    hints = {"a b": "Run it again"} | B.hints', "Run it again"),
    ],
)
def test_message_is_found_however_it_is_raised(source: str, said: str) -> None:
    module = messages.Module(KIT / "errors.py")
    module.tree = ast.parse(source)
    module.scopes = [module.tree]
    assert [messages.pattern(text) for _, text in module.messages()] == [said]


def test_message_that_no_literal_says_is_refused() -> None:
    module = messages.Module(KIT / "errors.py")
    module.tree = ast.parse("raise CommandError(self.anything)")
    module.scopes = [module.tree]
    with pytest.raises(AssertionError, match="says what no literal has"):
        list(module.messages())
