"""Stand-ins for modules that a browser does not have, and the engine with JSON for the worker."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any


def stand_in(name: str, **names: Any) -> None:
    """Add a module in place of one that is missing."""
    module = ModuleType(name)
    vars(module).update(names, __path__=[])
    sys.modules[name] = module


def unknown(*_: object) -> None:
    """Find no user and no group."""
    raise KeyError


def choice(title: str, value: Any = None, disabled: str | None = None) -> Any:
    """Return a choice of a prompt, with the attributes that Copier reads."""
    value = title if value is None else value
    return SimpleNamespace(title=title, value=value, disabled=disabled)


# plumbum asks for users; the others draw prompts in a terminal, which a browser does not have.
stand_in("grp", getgrgid=unknown, getgrnam=unknown)
stand_in("pwd", getpwuid=unknown, getpwnam=unknown)
stand_in("prompt_toolkit")
stand_in("prompt_toolkit.lexers", PygmentsLexer=None)
stand_in("pygments")
stand_in("pygments.lexers")
stand_in("pygments.lexers.data", JsonLexer=None, YamlLexer=None)
stand_in("questionary", Choice=choice, confirm=None, unsafe_prompt=None)
stand_in("questionary.prompts")
stand_in("questionary.prompts.common", Choice=choice)

from .engine import Engine

engine: Engine


def start(folder: str, address: str, commit: str, commit_hash: str) -> None:
    """Read the template; see `Engine`."""
    global engine
    engine = Engine(Path(folder), address, commit, commit_hash)


def render(answers: str) -> str:
    """Return `Engine.render` of answers in JSON, as JSON."""
    return json.dumps(engine.render(json.loads(answers)))


def archive(answers: str) -> tuple[str, bytes]:
    """Return `Engine.archive` of answers in JSON."""
    return engine.archive(json.loads(answers))
