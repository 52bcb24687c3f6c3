"""The questions of copier.yml, as Copier asks them."""

from __future__ import annotations

import json
import re
import shlex
from itertools import combinations, product
from typing import Any

import yaml

from _ext import renders
from _ext.markdown import escape, table
from starter.engine import QuestionState
from support.releases import ROOT

Answers = dict[str, Any]


def markdown() -> str:
    """Return a section for each question, in their order and below the headings of copier.yml."""
    text = (ROOT / "copier.yml").read_text(encoding="utf-8")
    states = ask({})
    parts = []
    for heading, name in re.findall(r"^# -{9,} (.+)$|^(\w+):", text, re.MULTILINE):
        if heading:
            parts.append(f"## {heading}")
        elif name in states:
            parts.append(section(states[name]))
    return "\n\n".join(parts)


def ask(answers: Answers) -> dict[str, QuestionState]:
    """Return all questions by their names, as they stand with some answers."""
    return {state["name"]: state for state in renders.state(answers)["questions"]}


def details(name: str) -> dict[str, Any]:
    """Return what copier.yml says of a question."""
    found: dict[str, Any] = renders.engine().template.questions_data[name]
    return found


def section(state: QuestionState) -> str:
    """Return what there is to know of a question."""
    name = state["name"]
    first = asked_with(name)
    asked = ask(first)[name]
    facts = [
        f":Asked: {when(name, first)}",
        f":Default: {default(asked)}",
        f":Give it: `{example(asked)}`",
    ]
    parts = [f"### `{name}`", escape(asked["help"])]
    if answers := choices(name, asked):
        parts.append(answers)
    return "\n\n".join([*parts, "\n".join(facts)])


def choices(name: str, asked: QuestionState) -> str:
    """Return the answers to choose from, with their titles."""
    rows: dict[str, list[str]] = {}
    if isinstance(details(name).get("choices"), str):
        # They depend on other answers.
        for answers in combined(conditions(name)):
            state = ask(answers)[name]
            for choice in state["choices"] if state["asked"] else ():
                rows.setdefault(value(choice["value"]), []).append(
                    f"with {data(answers)}"
                )
    elif asked["widget"] == "switch":
        return ""
    else:
        for choice in asked["choices"]:
            answer = value(choice["value"])
            rows[answer] = [escape(choice["label"].removeprefix(f"{answer}: "))]
    if not rows:
        return ""
    cells = [(f"`{answer}`", "<br>".join(texts)) for answer, texts in rows.items()]
    return table(("answer", "what"), *cells)


def value(answer: Any) -> str:
    """Return an answer as `--data` takes it."""
    if isinstance(answer, list):
        return f"[{', '.join(answer)}]"
    return answer if isinstance(answer, str) else json.dumps(answer)


def data(answers: Answers) -> str:
    """Return answers as options of the command."""
    options = [option(name, answer) for name, answer in answers.items()]
    return f"`{' '.join(options)}`"


def option(name: str, answer: Any) -> str:
    """Return an answer as an option of the command, for a shell."""
    return "--data " + shlex.quote(f"{name}={value(answer)}")


def default(asked: QuestionState) -> str:
    """Return a question's default, and whether it comes from the answers before it."""
    said = details(asked["name"]).get("default")
    if said is None:
        return "none: give an answer"
    computed = isinstance(said, str) and "{" in said
    answer = f"`{value(asked['answer'])}`"
    return f"computed from the answers before it, here {answer}" if computed else answer


def example(asked: QuestionState) -> str:
    """Return an answer that is not the default, where there are others."""
    others: list[Any] = [
        c["value"] for c in asked["choices"] if c["value"] != asked["answer"]
    ]
    if asked["widget"] == "switch":
        others = [not asked["answer"]]
    if asked["widget"] == "several":
        chosen = asked["answer"]
        others = [[*chosen, other] for other in others if other not in chosen]
    if asked["widget"] == "mapping" and asked["placeholder"]:
        others = [yaml.safe_load(asked["placeholder"])]
    answer = others[0] if others else asked["placeholder"] or asked["answer"]
    return option(asked["name"], answer)


def when(name: str, first: Answers) -> str:
    """Return when a question is asked, as copier.yml says it, with answers that make it so."""
    condition = details(name).get("when")
    if condition is None:
        return "always."
    condition = re.sub(r"^\{\{\s*|\s*\}\}$", "", condition)
    beside = f", for example with {data(first)}" if first else ""
    return f"if `{condition}`{beside}."


def asked_with(name: str) -> Answers:
    """Return the fewest answers with which Copier asks a question.

    Raises:
        ValueError: if two are not enough.
    """
    if ask({})[name]["asked"]:
        return {}
    for answers in combined(conditions(name)):
        if ask(answers)[name]["asked"]:
            return answers
    raise ValueError(f"{name}: no two answers let Copier ask it")


def conditions(name: str) -> list[str]:
    """Return the questions that decide when and how one is asked, as far as it names them."""
    said = details(name)
    text = f"{said.get('when')} {said.get('choices')}"
    states = list(ask({}))
    before = states[: states.index(name)]
    named = [other for other in before if re.search(rf"\b{other}\b", text)]
    # A hidden value may stand for any of them.
    return named if len(named) > 1 else before


def combined(names: list[str]) -> list[Answers]:
    """Return answers to one question, then to two, the simplest first."""
    states = ask({})

    def values(name: str) -> list[Any]:
        state = states[name]
        if state["widget"] == "switch":
            return [not state["answer"]]
        if state["widget"] == "several":
            return [[choice["value"] for choice in state["choices"]]]
        if state["widget"] == "mapping" and state["placeholder"]:
            return [yaml.safe_load(state["placeholder"])]
        return [c["value"] for c in state["choices"] if c["value"] != state["answer"]]

    return [
        dict(zip(chosen, answers, strict=True))
        for count in (1, 2)
        for chosen in combinations(names, count)
        for answers in product(*map(values, chosen))
    ]
