"""Renders a project from answers as `copier copy --defaults --data` does, and tells the questions.

It is Copier's own `Worker` that asks, validates, derives and renders. Two things are different: what
it would ask or refuse is reported, so that a page can show it, and what it compiles and computes anew
for each string is remembered. The same module runs in CPython, for the documentation, and in a
browser. It uses private names of Copier: its version is pinned exactly, and `tests/template/test_engine.py`
compares both.
"""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypedDict

from copier._jinja_ext import SandboxedEnvironment, get_yield_context
from copier._main import Worker
from copier._settings import SettingsModel
from copier._template import Template
from copier._types import MISSING, AnyByStrDict, Phase
from copier._user_data import AnswersMap, Question
from copier.errors import CopierError
from pathspec import PathSpec

from .picture import picture

# The folder that the command names where the project has no name yet; a title comes from it.
FOLDER = "my-app"

# The kit in the template; no file of it is a template itself.
KIT = "{{ migrations_path }}/migration_kit"


class Choice(TypedDict):
    """One of the answers to choose from; see `protocol.ts`."""

    label: str
    value: str | bool
    disabled: str
    lines: int


class QuestionState(TypedDict):
    """A question as it stands; see `protocol.ts`."""

    name: str
    widget: str
    help: str
    asked: bool
    answer: Any
    touched: bool
    error: str
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
    picture: str


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
        self.kit_lines = lines_of_kit(folder / "template" / KIT)
        self.template = Template(url=address)
        # What Copier would ask git, which a browser has not.
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

    def render(self, answers: Mapping[str, Any]) -> Render:
        """Render a project.

        Args:
            answers: those that somebody gave, by the names of their questions; the others take
                their defaults.

        Returns:
            The project and the questions. An answer that is refused is shown with what Copier
            says, and its default is rendered.
        """
        with tempfile.TemporaryDirectory() as root:
            folder = Path(root).resolve() / FOLDER
            with Conversation(
                src_path=self.address,
                dst_path=folder,
                data=dict(answers),
                settings=NOTHING_SET,
                defaults=True,
                quiet=True,
            ) as worker:
                vars(worker).update(template=self.template, jinja_env=self.environment)
                worker.run_copy()
                files = [
                    ProjectFile(
                        path=path.relative_to(folder).as_posix(),
                        source=worker.sources[path.relative_to(folder)],
                        text=path.read_bytes().decode(),
                        executable=bool(path.stat().st_mode & 0o100),
                    )
                    for path in sorted(folder.rglob("*"))
                    if path.is_file()
                ]
                worker.count_lines(self.kit_lines)
                destination = worker.destination()
                return Render(
                    questions=worker.states,
                    files=files,
                    message=worker.message(destination),
                    destination=destination,
                    picture=picture({file["path"]: file["text"] for file in files}),
                )

    def archive(self, answers: Mapping[str, Any]) -> tuple[str, bytes]:
        """Pack a project as a zip file that keeps the executable bits.

        Args:
            answers: as for `render`.

        Returns:
            The file's name and its bytes. A project lies in a folder of its own in it; what is
            added to a project that exists does not.
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


# Nobody's settings of Copier on this machine change what a page shows.
NOTHING_SET = SettingsModel()


class Conversation(Worker):
    """Copier's worker, which answers with what is given and takes note of each question."""

    states: list[QuestionState]
    sources: dict[Path, str]
    refused: dict[str, tuple[Any, str]]
    answered: AnyByStrDict | None = None

    def _ask(self) -> None:
        self.sources = {}
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
                    self.refused[name] = given[name], reason(refusal)
                if not kept:
                    del self.answers.init[name]
                    dropped.add(name)
            if name not in self.answers.user:
                self._take_default(question, asked)
            if details.get("when") is not False:
                self.states.append(self._state(question, asked, name in given))
        return dropped

    def _take_default(self, question: Question, asked: bool) -> None:
        """Answer with the default, also where somebody has to give another answer."""
        name = question.var_name
        try:
            answer = question.get_default()
        except ValueError as refusal:
            answer = question.cast_answer(question.render_value(question.default))
            self.refused.setdefault(name, (answer, reason(refusal)))
        if answer is MISSING:
            # What an answer may look like stands in for it, so that there is a project to see.
            answer = question.get_placeholder()
            if asked:
                self.refused.setdefault(name, (None, "type an answer"))
        self.answers.user[name] = answer

    def _state(self, question: Question, asked: bool, kept: bool) -> QuestionState:
        """Return what the page shows of a question that is answered."""
        name = question.var_name
        answer = self.answers.user[name]
        shown, error = self.refused.get(name, (answer, ""))
        return QuestionState(
            name=name,
            widget=widget(question, answer),
            help=question.render_value(question.help),
            asked=asked,
            answer=shown,
            touched=kept or (name in self.refused and name in self.data),
            error=error,
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
        """Where the answers file is, which Copier would render for each string."""
        return Path(self.template.answers_relpath)

    def _render_context(self) -> AnyByStrDict:
        if self.answered is None:
            return {**super()._render_context()}
        return {**self.answered}

    def _sync_git_index_executable_bit(self, dst_relpath: Path, src_mode: int) -> None:
        """Do nothing: what is rendered here is in no repository."""

    def _render_file(
        self,
        src_relpath: Path,
        dst_relpath: Path,
        extra_context: AnyByStrDict | None = None,
    ) -> None:
        # A file of the template becomes one for each of what its path yields.
        names = [value["name"] for value in (extra_context or {}).values()]
        self.sources[dst_relpath] = "#".join(
            [source_of(src_relpath.as_posix()), *names]
        )
        forget_yield(self.jinja_env)
        super()._render_file(src_relpath, dst_relpath, extra_context)

    def count_lines(self, kit: Mapping[str, int]) -> None:
        """Note how many lines of the kit each choice of several brings, or would bring.

        Args:
            kit: the lines of each file of the kit, by its path in the kit.
        """
        answers = self.answers.combined
        folder = f"/{answers['migrations_path']}/migration_kit"
        # Whether a room is chosen does not count, but its modules for other databases do not come.
        rooms = {
            f"{folder}/{PurePosixPath(path).parts[0]}" for path in kit if "/" in path
        }
        patterns = [p for p in answers["left_out"]["always"] if p not in rooms]
        left_out = PathSpec.from_lines("gitignore", patterns)
        for choice in (
            choice
            for state in self.states
            if state["widget"] == "several"
            for choice in state["choices"]
        ):
            choice["lines"] = sum(
                lines
                for path, lines in kit.items()
                if path.startswith(f"{choice['value']}/")
                and not left_out.match_file(f"{folder}/{path}")
            )

    def destination(self) -> str:
        """Return the folder that a command line names for these answers."""
        answers = self.answers.combined
        if answers["existing"]:
            return "."
        return (
            answers["distribution_name"]
            if "project_name" in self.answers.init
            else FOLDER
        )

    def message(self, destination: str) -> str:
        """Return what Copier says after it copied to a folder."""
        self.dst_path = Path(destination)
        with Phase.use(Phase.RENDER):
            return self._render_string(self.template.message_after_copy)


def source_of(path: str) -> str:
    """Return what is one file to a project's owner, in the template several for several answers."""
    return re.sub(r"\{% .*? %\}|\.jinja$", "", path)


def lines_of_kit(folder: Path) -> dict[str, int]:
    """Return how many lines each file of the kit has, by its path in that folder."""
    return {
        path.relative_to(folder).as_posix(): len(path.read_bytes().splitlines())
        for path in sorted(folder.rglob("*.py"))
    }


def is_possible(question: Question, answer: Any) -> bool:
    """Return whether the page could give this answer now.

    Answers before it may have taken it from the choices, and a link may hold anything.
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
        ValueError: where Copier refuses it.
    """
    answer = question.parse_answer(given)
    question.validate_answer(answer)
    return answer


def reason(refusal: Exception) -> str:
    """Return what Copier says, without the name of the question, which the page shows."""
    return re.sub(
        r"^(Validation error|Invalid choice) for (question )?'\w+': ", "", str(refusal)
    )


def widget(question: Question, answer: Any) -> str:
    """Return with what the page asks a question.

    Raises:
        UnknownWidget: if there is nothing for questions of this type.
    """
    kind = question.get_type_name()
    if not (question.secret or question.multiline):
        if question.multiselect:
            if kind == "str":
                return "several"
        elif question.choices:
            return "choice"
        elif kind == "bool":
            return "switch"
        elif kind == "str":
            return "text"
        elif kind == "yaml" and isinstance(answer, dict):
            return "mapping"
    raise UnknownWidget(
        f"{question.var_name}: the page has no field for this type of question"
    )


def remembering(environment: SandboxedEnvironment) -> SandboxedEnvironment:
    """Let an environment compile each string once: two thirds of a render are compilations."""
    compile_string = environment.from_string
    compiled: dict[str, Any] = {}

    def from_string(source: str) -> Any:
        forget_yield(environment)
        if source not in compiled:
            compiled[source] = compile_string(source)
        return compiled[source]

    vars(environment)["from_string"] = from_string
    return environment


def forget_yield(environment: SandboxedEnvironment) -> None:
    """Do what Copier does before it compiles: a path that yields is told from others by it."""
    context = get_yield_context(environment)
    context.yield_name = context.yield_iterable = None
