"""Let Copier do once, in this process, what it does anew for every render."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import copier._main
import copier._template
import copier._user_data
import copier._vcs
import jinja2
import pytest
import pytest_copie.plugin
import yaml
from copier._jinja_ext import get_yield_context
from copier._types import Phase


@contextmanager
def faster_copier() -> Iterator[None]:
    """Remember what strings mean, and ask git nothing where the answer changes nothing.

    A project that the command `copier` makes comes about without this.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(jinja2.Environment, "compile", remember_compiled())
        parse = remember_parsed(copier._user_data.parse_yaml_string)
        monkeypatch.setattr(copier._user_data, "parse_yaml_string", parse)
        casts = copier._user_data.CAST_STR_TO_NATIVE
        monkeypatch.setitem(casts, "yaml", parse)
        is_bundle = copier._vcs.is_git_bundle
        monkeypatch.setattr(
            "copier._vcs.is_git_bundle",
            lambda path: (
                not path.is_dir() and is_bundle(path)
            ),  # it would ask git twice
        )
        monkeypatch.setattr(copier._user_data.AnswersMap, "combined", property(combine))
        worker = copier._main.Worker
        path = remember_answered(vars(worker)["answers_relpath"].fget)
        monkeypatch.setattr(worker, "answers_relpath", property(parsed_anew(path)))
        answers = remember_answered(worker._answers_to_remember)
        monkeypatch.setattr(worker, "_answers_to_remember", answers)
        clones: dict[tuple[str, ...], str] = {}
        monkeypatch.setattr("copier._template.clone", remember_clones(clones))
        if yaml.__with_libyaml__:
            for module in (copier._template, pytest_copie.plugin):
                monkeypatch.setattr(module, "yaml", in_c())
        if sys.platform != "win32":
            # It mends the executable bit where git ignores that of the file.
            monkeypatch.setattr(
                copier._main.Worker,
                "_sync_git_index_executable_bit",
                lambda *_: None,
            )
        yield
        for folder in clones.values():
            shutil.rmtree(folder, ignore_errors=True)


def remember_compiled() -> Any:
    """Return Jinja's `compile` with a memory: two thirds of a render are compilations.

    Jinja's own cache is for templates of a loader, and Copier's are strings.
    """
    compile_string = jinja2.Environment.compile
    compiled: dict[tuple[Any, ...], Any] = {}

    def compile_once(
        environment: jinja2.Environment,
        source: Any,
        name: str | None = None,
        filename: str | None = None,
        **named: Any,
    ) -> Any:
        # Not by the file's name, which is another one in each clone of the template.
        options = (environment.trim_blocks, environment.lstrip_blocks)
        key = (type(environment), options, source, name, *sorted(named.items()))
        forget_yield(environment)
        if key not in compiled:
            compiled[key] = compile_string(environment, source, name, filename, **named)
        return compiled[key]

    return compile_once


def forget_yield(environment: Any) -> None:
    """Do what the parser does, where it is left out."""
    forgotten = get_yield_context(environment)
    forgotten.yield_name = forgotten.yield_iterable = None


def remember_parsed(parse: Any) -> Any:
    """Return a parser of strings with a memory, which gives each caller an own copy."""
    parsed = cache(parse)
    return lambda string: deepcopy(parsed(string))


def combine(answers: Any) -> dict[str, Any]:
    """Return what Copier makes of a ChainMap, a thousand times in a render."""
    return {
        **copier._user_data.DEFAULT_DATA,
        "_external_data": answers.external,
        **answers.user_defaults,
        **answers.last,
        **answers.metadata,
        **answers.init,
        **answers.user,
    }


def remember_answered(find: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a method of a worker with a memory: when files are rendered, all is answered."""
    name = f"_remembered_{find.__name__}"

    def find_once(worker: Any) -> Any:
        if Phase.current() != Phase.RENDER:
            return find(worker)
        known = vars(worker)
        if name not in known:
            known[name] = find(worker)
        return known[name]

    return find_once


def parsed_anew(find: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a method of a worker that seems to parse something."""

    def find_and_forget(worker: Any) -> Any:
        forget_yield(worker.jinja_env)
        return find(worker)

    return find_and_forget


def remember_clones(clones: dict[tuple[str, ...], str]) -> Any:
    """Return Copier's `clone` with a memory for tags: an update asks for the same one thrice.

    What it gives is linked to a clone that nobody changes; git and Copier replace files.
    """
    clone = copier._vcs.clone

    def clone_once(url: str, ref: str = "HEAD", location: str | None = None) -> Any:
        tag = Path(url, ".git", "refs", "tags", ref)
        if location is None or not tag.is_file():
            return clone(url, ref, location)
        # A clone stays in the folder for temporary files, which may go between two tests.
        key = (url, ref, tag.read_text(), tempfile.gettempdir())
        if key not in clones:
            clones[key] = clone(url, ref)
        shutil.copytree(
            clones[key], location, copy_function=os.link, dirs_exist_ok=True
        )
        return location

    return clone_once


def in_c() -> SimpleNamespace:
    """Return PyYAML with the parser in C, for the conversation of a thousand lines."""
    loader = yaml.CSafeLoader
    return SimpleNamespace(
        **{name: value for name, value in vars(yaml).items() if name[0] != "_"}
        | {
            "SafeLoader": loader,
            "safe_load": partial(yaml.load, Loader=loader),
            "safe_load_all": partial(yaml.load_all, Loader=loader),
        }
    )
