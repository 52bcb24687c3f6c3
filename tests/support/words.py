"""Words and turns of phrase that a reader has to translate, and what to write instead.

``python tests/support/words.py`` prints each hit, and the counts by kind of file; after the name of a
folder, those of another checkout.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parents[2]
KIT = "template/{{ migrations_path }}/migration_kit"

# A pattern, and what to write instead. `(?-i)` begins one that heeds upper case, `x` is any code.
PATTERNS = r"""
\b(who|what|which)(m|so)?ever\b   # you, anyone who, any
\bbeside\b   # next to, with, in addition to
\bmend(s|ed|ing)?\b   # fix, recover
\bwhat helps\b   # how to fix it
\b(projects?|rows|tables) that (exists?|are there)\b   # existing project
^Afterwards\b   # nothing: start with the task
\bwants? (a|an|the|its|another|no|one|more|to be|`)   # needs; people may want
\b(some|every)body\b   # you, another session, other developers
\bnobody\b   # you never, no one, the passive
\balso (where|when|if|in|with|by|then|below|what|from|for|under)\b   # even if, as well
\bwh(at|ere) there is\b(?! (a|an|one|no)\b)   # the thing's name; if there is
\bas (ever|always)\b|\bfor ever\b   # as usual; forever
\bcircles? of\b|\bin a circle\b   # circular
\bin silence\b|\bwithout a word\b   # silently
\banew\b   # again, from scratch
\b(takes?|taken|took|taking) ((it|them|\w+ed|his|all|what|the|revisions?|tables?|those|`x`) ){0,2}(back|away)\b   # revert, remove
\bthe (release|code|revision|one) before\b(?! (you|the)\b)   # the previous release
\bthe way (back|there)\b   # the downgrade, the upgrade
\b(?:tells?|told) (how|when|more|which|about|where|what)\b   # explains, shows, lists
\b(any|no) more\b(?! than)   # no longer; “no other rows”
\b(is|are) to (be|become)\b   # will be, should
\bof (its|their|your|his|an? \w+'s|the \w+'s) own\b   # its own X; a separate X after “have”
\bstands?\b(?! (for|in for|by)\b)   # is, appears, goes
\blies?\b   # is, lives
\bspeaks? of\b   # refers to
\btake (another|the one|a name|its default|the lower|it when)\b   # use, choose
\bput(s)? together\b   # combined, merged
\b(meanwhile|in the meantime)\b   # at the same time, in between
\bat once\b   # at the same time, or immediately
\bput(s)? (\S+ ){1,4}behind\b   # move X after
\b(do|does|go|goes) without\b   # has no, leaves out
\bwill do\b   # is enough
\b(go|goes|going) on\b   # continue, keep …ing
\bpass(ed|es)? over\b   # skipped
\bby (itself|themselves)\b   # automatically
(?:^|[.;:,] )let (the|it|that|them|your|each|every|one|another|only|a|revisions?|tenants)\b   # an instruction to the reader
\bfurther (databases?|ones?|sections?|histor)   # more, another
\btaken? (\S+ ){0,3}for (a|an|one|the|empty|deleted|dropped|granted)\b   # treated as, mistaken for
\band not (in|to|from|the|an?|on)\b   # instead of, not
(?-i)(?:^|[.;:] )Where\b(?![^.?]*\?)   # If, When; “Where” is for places
\bbut for\b   # except for
\bhow far\b   # progress
, say[,.;:)]   # for example, such as
\bharm(s|ed)? no   # doesn't affect others
\bof (ours|yours|the template's)\b|\bwith ours\b|\bbefore ours\b   # your X, the kit's X
\b(do|does|did|is|are|was|were|has|have|had|can|could|should|would) ?not\b   # don't, isn't, can't
""".strip()

# The last one: guides, README and generated pages use contractions; messages and reference do not.
CONTRACTED = re.compile(r"README|docs/(?!_ext|reference/).*md")

# Hits that are right, each by a file and the words around it.
ALLOWED: dict[str, set[str]] = {
    "copier.yml": {"Any more databases?"},
    "docs/explanation/layouts.md": {"Where Base lives"},
}

# The kinds of files that a user reads, each with its files.
KINDS = {
    "README": ["README.md"],
    "docs": ["docs/*.md", "docs/*.toml", "docs/[!_s]*/**/*.md", "docs/_ext/*.py"],
    "changelog, contributing": ["CHANGELOG.md", "CONTRIBUTING.md"],
    "questions": ["copier.yml", "questions/*"],
    "generated pages": ["template/README.md.jinja", "template/docs/*"],
    "messages of the kit": [f"{KIT}/**/*.py"],
}

# A message starts with no statement of SQL.
SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|SET|WITH|SHOW)\b")


class Word(NamedTuple):
    """A pattern, and what to write instead."""

    pattern: re.Pattern[str]
    instead: str

    @classmethod
    def read(cls, line: str) -> Word:
        """Return the word of a line of `PATTERNS`."""
        pattern, instead = line.split("   # ")
        heeds_case = pattern.startswith("(?-i)")
        # Lines are wrapped anywhere.
        pattern = pattern.removeprefix("(?-i)")
        pattern = pattern.replace(" ?", r"\s*").replace(" ", r"\s+")
        return cls(re.compile(pattern, 0 if heeds_case else re.IGNORECASE), instead)


WORDS = [Word.read(line) for line in PATTERNS.splitlines()]


class Hit(NamedTuple):
    """A place in a file."""

    path: str
    line: int
    found: str
    instead: str

    def __str__(self) -> str:
        """Return the place, the words, and what to write instead."""
        return f"{self.path}:{self.line}: {self.found!r}: write {self.instead}"


def hits(root: Path, kind: str) -> list[Hit]:
    """Return the hits in a kind of files of a checkout."""
    paths = {path for pattern in KINDS[kind] for path in root.glob(pattern)}
    return [hit for path in sorted(paths) for hit in hits_of(root, path)]


def hits_of(root: Path, path: Path) -> Iterator[Hit]:
    """Yield the hits in a file."""
    name = path.relative_to(root).as_posix()
    text = path.read_text(encoding="utf-8")
    words = WORDS if CONTRACTED.search(name) else WORDS[:-1]
    for line, prose in prose_of(name, text):
        for found, instead in search(prose, words):
            near = " ".join(
                prose[max(0, found.start() - 30) : found.end() + 30].split()
            )
            if not any(allowed in near for allowed in ALLOWED.get(name, ())):
                place = line + prose.count("\n", 0, found.start())
                yield Hit(name, place, " ".join(found[0].split()), instead)


def search(prose: str, words: list[Word]) -> Iterator[tuple[re.Match[str], str]]:
    """Yield what some words find in a paragraph."""
    for word in words:
        for found in word.pattern.finditer(prose):
            yield found, word.instead


def prose_of(name: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield the paragraphs of a file, each with its first line."""
    if name.endswith(".py"):
        yield from strings(text)
        return
    if name == "CHANGELOG.md":
        text = current(text)
    if name.endswith((".yml", ".jinja")):
        text = without_jinja(text)
    if not name.endswith((".md", ".md.jinja")):
        text = re.sub(r"(?m)^\s*#.*|^\s*(- )?\w+(:| =) *\"*", "\f", text)
    yield from paragraphs(markdown(text))


def paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Yield the paragraphs of a text in which form feeds part them."""
    line = 1
    for part in text.split("\f"):
        before = part[: len(part) - len(part.lstrip())]
        yield line + before.count("\n"), part.strip()
        line += part.count("\n")


def blank(found: re.Match[str]) -> str:
    """Leave nothing but the lines of a match."""
    return "\f" + "\n" * found[0].count("\n")


def code(found: re.Match[str]) -> str:
    """Leave `x` of a code, and its lines."""
    return "`x`" + "\n" * found[0].count("\n")


def markdown(text: str) -> str:
    """Return the prose of a page, with a form feed before each paragraph, item and cell."""
    text = re.sub(r"(?ms)^ *(`{3,}).*?^ *\1`*$", blank, text)
    text = re.sub(r"(?s)<!--.*?-->|^%.*?$", blank, text)
    text = re.sub(r"\n(?=[ \t]*\n)", "\n\f", text)
    text = re.sub(r"(?m)^ *(?:[-*+]|\d+\.|#+|:|>) |^ *-{3,}$|\|", "\f", text)
    text = re.sub(r"(`+)[^`\f]+\1", code, text)
    text = re.sub(r"\]\([^)]*\)|[*\[\]]", "", text)
    return re.sub(r"\n(?=[ \t]*\n)", "\n\f", text)


def without_jinja(text: str) -> str:
    """Return a template without its tags, but with the sentences in them."""

    def sentences(tag: re.Match[str]) -> str:
        return "`x`" + re.sub(".+", quoted, tag[0])

    def quoted(line: re.Match[str]) -> str:
        found = re.findall(r"""(['"])((?:(?!\1).)+ (?:(?!\1).)+)\1""", line[0])
        return "".join(f"\f{text}\f" for _, text in found)

    text = re.sub(r"(?s)\{#.*?#\}", blank, text)
    return re.sub(r"(?s)\{%.*?%\}|\{\{.*?\}\}", sentences, text)


def current(changelog: str) -> str:
    """Return what is held of the changelog: of releases before 3.0, their first sentences."""
    recent, heading, older = changelog.partition("\n## 2.4.0 ")
    return recent + re.sub(
        r"(?ms)(?<=\n\n)(.+?\n\n)(.*?)(?=^## |\Z)",
        lambda found: found[1] + blank(found),
        heading + older,
    )


def strings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the sentences among the strings of a module, none of SQL and no docstring."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        text = ""
        if isinstance(node, ast.JoinedStr):
            parts = [ast.literal_eval(p) if constant(p) else "`x`" for p in node.values]
            text = "".join(parts)
        elif constant(node):
            text = ast.literal_eval(node)
        elif not (isinstance(node, ast.Expr) and constant(node.value)):
            waiting += ast.iter_child_nodes(node)
        if len(text.split()) > 2 and not SQL.match(text):
            line = getattr(node, "lineno", 1)
            yield from ((line, part) for _, part in paragraphs(markdown(text)))


def constant(node: ast.AST) -> bool:
    """Return whether a node is a string."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def main(root: Path = HERE) -> None:
    """Print the hits of a checkout, and their counts by kind of file and by file."""
    found = {kind: hits(root, kind) for kind in KINDS}
    for kind in KINDS:
        print(*found[kind], sep="\n", end="\n" if found[kind] else "")
    for kind in KINDS:
        print(f"{len(found[kind]):5}  {kind}")
        for path, count in Counter(hit.path for hit in found[kind]).most_common():
            print(f"{count:12}  {path}")
    print(f"{sum(map(len, found.values())):5}  in all")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
