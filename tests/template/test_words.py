"""What a user reads is plain English: no turn of phrase that has to be translated first."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import words
from support.releases import ROOT

# A sentence for each pattern, in their order.
BAD = """
Whoever deploys reads this.
Migrate beside PgBouncer.
The next run mends it.
The message says what helps.
Add it to a project that exists.
Afterwards you have a table.
The table wants a key.
Everybody waits.
Nobody answers.
It keeps its lock also then.
Look at what there is.
It works as ever.
Tables refer to each other in a circle.
It is skipped in silence.
Start anew.
Alembic takes the revision back.
The code of the release before runs.
This is the way back.
The page tells how it works.
The table isn't there any more.
The column is to be dropped.
Each tenant has a schema of its own.
The file stands in the folder.
A history that lies elsewhere.
The README speaks of it.
To skip it, take another name.
The options are put together.
The others wait meanwhile.
All migrate at once.
Put yours behind it.
Do without the lock.
An empty file will do.
It goes on at the next row.
A model is passed over.
CI does it by itself.
If it's missing, let the job wait.
There are further databases.
The type is taken for a default.
It fails in git and not in production.
Where a file exists, Copier asks.
All but for one.
It shows how far it is.
Another name, say, is fine.
It harms no row.
An option of yours wins.
It is not there.
""".strip().splitlines()

GOOD = """
A process needs a lock, so the others wait and then continue. It can't stand in for the test; the
column of the table isn't `anew`. Where do you start? [Read it](anew.md).

```shell
echo whoever  # code
```
"""


@pytest.mark.parametrize("kind", words.KINDS)
def test_prose_has_no_turn_of_phrase_to_translate(kind: str) -> None:
    found = words.hits(ROOT, kind)
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize("kind", words.KINDS)
def test_each_kind_has_prose(kind: str) -> None:
    paths = [path for pattern in words.KINDS[kind] for path in ROOT.glob(pattern)]
    prose = [
        words.prose_of(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
        for path in paths
    ]
    assert sum(len(text.split()) for part in prose for _, text in part) > 500


@pytest.mark.parametrize(("word", "bad"), [*zip(words.WORDS, BAD, strict=True)])
def test_each_pattern_finds_its_sentence(
    word: words.Word, bad: str, tmp_path: Path
) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"{GOOD}\n{bad.replace(' ', chr(10))}\n")
    found = list(words.hits_of(tmp_path, page))
    assert word.instead in [hit.instead for hit in found]
    assert all(hit.line > GOOD.count("\n") for hit in found)


def test_sentences_are_found_wherever_they_are(tmp_path: Path) -> None:
    """In a cell, an item, a question, a validator and a message, but not in code."""
    texts = {
        "page.md": "| a | b |\n| --- | --- |\n| c | Start anew. |\n\n- Start\n  anew.\n",
        "copier.yml": "# anew\nname:\n  help: Start anew?\n  validator: |-\n"
        "    {% if a %}start\n    anew{{ ' or begin it anew' if b }}{% endif %}\n",
        "catalogue.toml": '[[message]]\ntitle = "Afterwards start"\n',
        "kit.py": '"""Anew."""\n\nprint(f"{name}: start " "it anew")\nx = "SELECT a AS anew"\n',
    }
    lines = {"page.md": [3, 6], "copier.yml": [3, 6, 6], "kit.py": [3]}
    lines["catalogue.toml"] = [2]
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        found = words.hits_of(tmp_path, tmp_path / name)
        assert [hit.line for hit in found] == lines[name], name


def test_older_releases_of_the_changelog_keep_their_words(tmp_path: Path) -> None:
    page = tmp_path / "CHANGELOG.md"
    entries = "\n\nStart anew.\n\n- Start anew.\n\n"
    page.write_text(f"# Changelog\n\n## 3.0.0 (x){entries}## 2.4.0 (x){entries}")
    assert [hit.line for hit in words.hits_of(tmp_path, page)] == [5, 7, 11]


def test_each_exception_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = [
        (name, phrase) for name, all_ in words.ALLOWED.items() for phrase in all_
    ]
    for name, phrase in allowed:
        with monkeypatch.context() as patch:
            patch.setitem(words.ALLOWED, name, words.ALLOWED[name] - {phrase})
            assert list(words.hits_of(ROOT, ROOT / name)), f"{name}: {phrase}"
