"""The questions of copier.yml, as Copier asks them."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import yaml

from _ext import renders
from _ext.markdown import escape, table
from starter.engine import QuestionState
from support.releases import ROOT

Answers = dict[str, Any]

EXISTING: Answers = {"base_location": "existing"}
ANALYTICS: Answers = {
    "more_databases": {"analytics": "sqlite+pysqlite:///analytics.db"}
}

# Answers with which Copier asks what it does not always ask, or offers other choices.
FIRST: dict[str, list[Answers]] = {
    "base_import": [EXISTING],
    "source_dir": [EXISTING],
    "driver": [
        {"database": database, "async_engine": True}
        for database in ("postgresql", "mysql", "mariadb")
    ],
    "more_base_imports": [EXISTING | ANALYTICS],
    "compose": [{"database": "postgresql"}],
    "version_table": [EXISTING],
    "project_folder": [{"project_folder": "services/orders"}],
}


def markdown() -> str:
    """Return a section for each question, in their order and below the headings of copier.yml."""
    text = (ROOT / "copier.yml").read_text(encoding="utf-8")
    states = ask({})
    parts = []
    for heading, name in re.findall(r"^# -{9,} (.+)$|^(\w+):", text, re.MULTILINE):
        if heading:
            parts.append(f"## {heading}")
        elif name in states:
            parts.append(section(name))
    return "\n\n".join(parts)


def ask(answers: Answers) -> dict[str, QuestionState]:
    """Return all questions by their names, as they are with some answers."""
    return {state["name"]: state for state in renders.state(answers)["questions"]}


def section(name: str) -> str:
    """Return the facts about a question; raise LookupError if `FIRST` does not reach it."""
    first = FIRST.get(name, [{}])
    asked = ask(first[0])[name]
    if not asked["asked"]:
        raise LookupError(f"{name} is not asked: FIRST needs the answers for it")
    said: dict[str, Any] = renders.engine().template.questions_data[name]
    when = f"if `{said['when'].strip('{} ')}`" if "when" in said else "always"
    when += f", for example with `{data(first[0])}`." if first[0] else "."
    default = f"`{value(asked['answer'])}`"
    if "UNSET" in str(said["default"]):
        default = "found in your project, or else none: give an answer"
    elif isinstance(said["default"], str) and "{" in said["default"]:
        default = f"computed from the answers before it, here {default}"
    facts = f":Asked: {when}\n:Default: {default}\n:Give it: `{example(asked)}`"
    parts = [f"### `{name}`", escape(asked["help"]), choices(name, first), facts]
    return "\n\n".join(parts)


def choices(name: str, first: list[Answers]) -> str:
    """Return the answers to choose from, with their titles."""
    rows: dict[str, list[str]] = {}
    for answers in first:
        state = ask(answers)[name]
        for choice in state["choices"] if state["widget"] != "switch" else []:
            answer = value(choice["value"])
            said = escape(choice["label"].removeprefix(f"{answer}: "))
            # Choices that depend on other answers have no titles.
            said = f"with `{data(answers)}`" if len(first) > 1 else said
            rows.setdefault(answer, []).append(said)
    cells = [(f"`{answer}`", "<br>".join(texts)) for answer, texts in rows.items()]
    return table(("answer", "what"), *cells) if cells else ""


def value(answer: Any) -> str:
    """Return an answer as `--data` takes it."""
    if isinstance(answer, list):
        return f"[{', '.join(answer)}]"
    return answer if isinstance(answer, str) else json.dumps(answer)


def data(answers: Answers) -> str:
    """Return answers as options of the command, for a shell."""
    words = [shlex.quote(f"{name}={value(it)}") for name, it in answers.items()]
    return " ".join(f"--data {word}" for word in words)


def example(asked: QuestionState) -> str:
    """Return an answer that is not the default, if there are others."""
    answer = asked["answer"]
    others: list[Any] = [choice["value"] for choice in asked["choices"]]
    if asked["widget"] == "switch":
        others = [not answer]
    elif asked["widget"] == "several":
        others = [[*answer, other] for other in others if other not in answer]
    elif asked["widget"] == "mapping" and asked["placeholder"]:
        others = [yaml.safe_load(asked["placeholder"])]
    others = [other for other in others if other != answer]
    return data({asked["name"]: [*others, asked["placeholder"] or answer][0]})
