"""Renders a project from answers as `copier copy --defaults --data` does, and lists the questions.

Copier's own `Worker` asks, validates, derives and renders. Three things are different: questions and
refusals are reported, so that a page can show them; each string is compiled once; and files are
rendered in memory, where Copier would walk the template and write a folder. The same module runs in
CPython, for the documentation, and in a browser. It uses private names of Copier: its version is
pinned exactly, and `tests/template/test_engine.py` compares both.
"""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from copier._jinja_ext import SandboxedEnvironment, get_yield_context
from copier._main import Worker
from copier._settings import SettingsModel
from copier._template import Template
from copier._types import MISSING, AnyByStrDict, Phase
from copier._user_data import AnswersMap, Question
from copier.errors import CopierError
from pathspec import PathSpec

# The folder that the command names if the project has no name yet; a title comes from it.
FOLDER = "my-app"

# The kit in the migrations; no file of it is a template itself.
KIT = "migration_kit/"


class Choice(TypedDict):
    """One of the answers to choose from; see `protocol.ts`."""

    label: str
    value: str | bool
    disabled: str
    lines: int


class QuestionState(TypedDict):
    """A question and its answer; see `protocol.ts`."""

    name: str
    widget: str
    help: str
    asked: bool
    answer: Any
    touched: bool
    error: str
    bad_rows: list[str]
    placeholder: str
    choices: list[Choice]


class ProjectFile(TypedDict):
    """A file of the project; see `protocol.ts`."""

    path: str
    source: str
    text: str
    executable: bool


class Render(TypedDict):
    """All that the page shows; see `protocol.ts`."""

    questions: list[QuestionState]
    files: list[ProjectFile]
    message: str
    destination: str


class TemplateFile(NamedTuple):
    """A file below `template/`."""

    name: str
    # The first parts of its path in a project, up to the last one that is a template; the others.
    top: tuple[str, ...]
    rest: str
    # None if it has to be rendered.
    text: str | None
    executable: bool


class UnknownWidget(Exception):
    """A question of `copier.yml` is of a type that the page has no field for."""


class Engine:
    """One template, which is rendered again and again."""

    def __init__(
        self, folder: Path, address: str, commit: str, commit_hash: str = ""
    ) -> None:
        """Read the template.

        Args:
            folder: the folder of `copier.yml`.
            address: where `copier copy` finds the template, as the answers file records it.
            commit: the version of the template, as the answers file records it.
            commit_hash: the full hash of that commit; empty for a template without git.
        """
        self.address = address
        self.template = Template(url=address)
        # Copier would ask git, which a browser does not have.
        vars(self.template).update(
            local_abspath=folder.resolve(),
            vcs=None,
            version=None,
            commit=commit,
            commit_hash=commit_hash or None,
        )
        with Conversation(settings=NOTHING_SET) as worker:
            vars(worker).update(template=self.template)
            self.environment = remembering(worker.jinja_env)
        self.files = files_of(folder, self.template)

    def render(self, answers: Mapping[str, Any]) -> Render:
        """Return the project of a visitor's answers, and all questions.

        The default of a question is rendered if it has no answer, or if Copier refuses the answer:
        then the question has Copier's reason.
        """
        # The folder stays empty; its name is where a title comes from.
        with (
            tempfile.TemporaryDirectory() as root,
            Conversation(
                src_path=self.address,
                dst_path=Path(root).resolve() / FOLDER,
                data=dict(answers),
                settings=NOTHING_SET,
                defaults=True,
                quiet=True,
            ) as worker,
        ):
            vars(worker).update(
                template=self.template,
                jinja_env=self.environment,
                template_files=self.files,
            )
            worker.run_copy()
            worker.count_lines()
            destination = worker.destination()
            return Render(
                questions=worker.states,
                files=sorted(worker.files, key=lambda file: file["path"].split("/")),
                message=worker.message(destination),
                destination=destination,
            )

    def archive(self, answers: Mapping[str, Any]) -> tuple[str, bytes]:
        """Return the name and the bytes of a zip file of the project, with the executable bits.

        A new project has its own folder in it; the files for an existing project have none.
        """
        render = self.render(answers)
        top = Path(render["destination"])
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in render["files"]:
                member = zipfile.ZipInfo((top / file["path"]).as_posix())
                member.compress_type = zipfile.ZIP_DEFLATED
                mode = 0o100755 if file["executable"] else 0o100644
                member.external_attr = mode << 16
                member.create_system = 3  # Unix, so that the mode counts
                archive.writestr(member, file["text"])
        return f"{top.name or 'migrations'}.zip", buffer.getvalue()


# The settings of Copier on this machine do not change what a page shows.
NOTHING_SET = SettingsModel()


class Conversation(Worker):
    """Copier's worker, which uses the given answers and records each question."""

    template_files: list[TemplateFile]
    states: list[QuestionState]
    files: list[ProjectFile]
    refused: dict[str, tuple[Any, str, list[str]]]
    answered: AnyByStrDict | None = None

    def _ask(self) -> None:
        self.refused = {}
        given = dict(self.data)
        # An answer that is dropped must not have been seen by the questions before it either.
        while dropped := self._converse(given):
            for name in dropped:
                del given[name]
        self.answered = self._render_context()

    def _converse(self, given: Mapping[str, Any]) -> set[str]:
        """Ask everything once, and return the given answers that were dropped."""
        self.states = []
        dropped = set(given) - set(self.template.questions_data)
        self.answers = AnswersMap(
            init=dict(given),
            metadata=self.template.metadata,
            external=self._external_data(),
        )
        for name, details in self.template.questions_data.items():
            question = Question(
                answers=self.answers,
                context=self._render_context(),
                jinja_env=self.jinja_env,
                settings=self.settings,
                var_name=name,
                **details,
            )
            asked = question.get_when()
            if not asked:
                self.answers.hide(name)
            if name in given:
                try:
                    kept = asked and is_possible(question, given[name])
                    if kept:
                        self.answers.user[name] = accept(question, given[name])
                except (CopierError, TypeError, ValueError) as refusal:
                    kept = False
                    error = reason(refusal)
                    rows = bad_rows(question, given[name], error)
                    self.refused[name] = given[name], error, rows
                if not kept:
                    del self.answers.init[name]
                    dropped.add(name)
            if name not in self.answers.user:
                self._take_default(question, asked)
            if details.get("when") is not False:
                self.states.append(self._state(question, asked, name in given))
        return dropped

    def _take_default(self, question: Question, asked: bool) -> None:
        """Answer with the default, even if the visitor has to give another answer."""
        name = question.var_name
        try:
            answer = question.get_default()
        except ValueError as refusal:
            answer = question.cast_answer(question.render_value(question.default))
            self.refused.setdefault(name, (answer, reason(refusal), []))
        if answer is MISSING:
            # The placeholder is rendered until then, so that there is a project to see.
            answer = question.get_placeholder()
            if asked:
                self.refused.setdefault(name, (None, "type an answer", []))
        self.answers.user[name] = answer

    def _state(self, question: Question, asked: bool, kept: bool) -> QuestionState:
        """Return what the page shows of a question that is answered."""
        name = question.var_name
        answer = self.answers.user[name]
        shown, error, rows = self.refused.get(name, (answer, "", []))
        return QuestionState(
            name=name,
            widget=widget(question, answer),
            help=question.render_value(question.help),
            asked=asked,
            answer=shown,
            touched=kept or (name in self.refused and name in self.data),
            error=error,
            bad_rows=rows,
            placeholder=question.get_placeholder(),
            choices=[
                Choice(
                    label=str(choice.title),
                    value=question.cast_answer(choice.value),
                    disabled=choice.disabled or "",
                    lines=0,
                )
                for choice in question._formatted_choices
            ],
        )

    @property
    def answers_relpath(self) -> Path:
        """The path of the answers file, which Copier would render for each string."""
        return Path(self.template.answers_relpath)

    def _render_context(self) -> AnyByStrDict:
        if self.answered is None:
            return {**super()._render_context()}
        return {**self.answered}

    def _render_template(self) -> None:
        self.files = []
        tops: dict[tuple[str, ...], list[tuple[str, AnyByStrDict | None]]] = {}
        for file in self.template_files:
            if file.top not in tops:
                parts = self._render_parts(file.top, is_template=True)
                tops[file.top] = [(path.as_posix(), context) for path, context in parts]
            for top, context in tops[file.top]:
                path = f"{top}/{file.rest}".strip("/").removeprefix("./")
                # A text does, and is faster than a Path.
                if not self.match_exclude(path):  # type: ignore[arg-type]
                    self.files.append(self._rendered(file, path, context or {}))

    def _rendered(
        self, file: TemplateFile, path: str, context: AnyByStrDict
    ) -> ProjectFile:
        """Return a file of the project."""
        text = file.text
        if text is None:
            template = self.jinja_env.get_template(file.name)
            text = template.render(**self._render_context(), **context)
        # A file of the template becomes one for each of what its path yields.
        names = [value["name"] for value in context.values()]
        return ProjectFile(
            path=path,
            source="#".join([source_of(file.name), *names]),
            text=text,
            executable=file.executable,
        )

    def count_lines(self) -> None:
        """Note how many lines of the kit each choice of several brings, or would bring."""
        answers = self.answers.combined
        folder = f"/{answers['migrations_path']}/"
        kit = [file for file in self.template_files if file.rest.startswith(KIT)]
        # Whether a room is chosen does not count, but its modules for other databases do not come.
        rooms = {f"{folder}{KIT}{file.rest.split('/')[1]}" for file in kit}
        patterns = [p for p in answers["left_out"]["always"] if p not in rooms]
        left_out = PathSpec.from_lines("gitignore", patterns)
        for state in self.states:
            for choice in state["choices"] if state["widget"] == "several" else ():
                choice["lines"] = sum(
                    (file.text or "").count("\n")
                    for file in kit
                    if file.rest.startswith(f"{KIT}{choice['value']}/")
                    and not left_out.match_file(folder + file.rest)
                )

    def destination(self) -> str:
        """Return the folder that a command line names for these answers."""
        answers = self.answers.combined
        named = "project_name" in self.answers.init
        name = answers["distribution_name"] if named else FOLDER
        return "." if answers["existing"] else str(name)

    def message(self, destination: str) -> str:
        """Return what Copier says after it copied to a folder."""
        self.dst_path = Path(destination)
        with Phase.use(Phase.RENDER):
            return self._render_string(self.template.message_after_copy)


def source_of(path: str) -> str:
    """Return what is one file to a project's owner, in the template several for several answers."""
    return re.sub(r"\{% .*? %\}|\.jinja$", "", path)


def files_of(folder: Path, template: Template) -> list[TemplateFile]:
    """Return the files that a project may get."""
    top = folder / template.subdirectory
    found = []
    for path in sorted(path for path in top.rglob("*") if path.is_file()):
        relative = path.relative_to(top).as_posix()
        is_template = relative.endswith(template.templates_suffix)
        parts = relative.removesuffix(template.templates_suffix).split("/")
        length = max((n for n, part in enumerate(parts, 1) if "{" in part), default=0)
        found.append(
            TemplateFile(
                name=path.relative_to(folder).as_posix(),
                top=tuple(parts[:length]),
                rest="/".join(parts[length:]),
                text=None if is_template else path.read_bytes().decode(),
                executable=bool(path.stat().st_mode & 0o100),
            )
        )
    return found


def is_possible(question: Question, answer: Any) -> bool:
    """Return whether the page could give this answer now.

    Answers before it may have removed it from the choices, and a link may have anything in it.
    """
    if question.get_type_name() == "yaml":
        return isinstance(answer, dict)
    values = [
        question.cast_answer(choice.value) for choice in question._formatted_choices
    ]
    if question.multiselect:
        return isinstance(answer, list) and all(one in values for one in answer)
    return not values or question.cast_answer(answer) in values


def accept(question: Question, given: Any) -> Any:
    """Return an answer as Copier understands it.

    Raises:
        ValueError: if Copier refuses it.
    """
    answer = question.parse_answer(given)
    question.validate_answer(answer)
    return answer


def bad_rows(question: Question, given: Any, said: str) -> list[str]:
    """Return the names of a mapping's rows that Copier refuses; of the whole, it `said` why."""
    if not isinstance(given, dict):
        return []

    def place(name: str, text: str) -> int:
        found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
        return found.start() if found else -1

    def alone(name: str) -> str:
        try:
            accept(question, {name: given[name]})
        except (CopierError, TypeError, ValueError) as refusal:
            return reason(refusal)
        return ""

    # A row may also be refused because others are missing: then Copier names these.
    bad = [name for name in given if place(name, alone(name)) >= 0]
    named = [name for name in given if place(name, said) >= 0]
    return bad or sorted(named, key=lambda name: place(name, said))[:1]


def reason(refusal: Exception) -> str:
    """Return what Copier says, without the name of the question, which the page shows."""
    return re.sub(
        r"^(Validation error|Invalid choice) for (question )?'\w+': ", "", str(refusal)
    )


def widget(question: Question, answer: Any) -> str:
    """Return the field of a question on the page.

    Raises:
        UnknownWidget: if the page has no field for questions of this type.
    """
    kind = question.get_type_name()
    found = {"bool": "switch", "str": "text", "yaml": "mapping"}.get(kind)
    if question.multiselect:
        found = "several" if kind == "str" else None
    elif question.choices:
        found = "choice"
    no_mapping = found == "mapping" and not isinstance(answer, dict)
    if not found or no_mapping or question.secret or question.multiline:
        raise UnknownWidget(
            f"{question.var_name}: the page has no field for this type of question"
        )
    return found


def remembering(environment: SandboxedEnvironment) -> SandboxedEnvironment:
    """Let an environment compile each string once: two thirds of a render are compilations."""
    compiled = cache(environment.from_string)

    def from_string(source: str) -> Any:
        # As Copier does before it compiles: this says whether a path yields.
        context = get_yield_context(environment)
        context.yield_name = context.yield_iterable = None
        return compiled(source)

    vars(environment)["from_string"] = from_string
    return environment
