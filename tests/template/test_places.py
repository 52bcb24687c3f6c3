"""An existing project's models are found by the paths of its modules, and wrong answers are refused."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml

from support.adopted import write
from support.commands import script
from support.databases import tables
from support.history import commit, committed, conflicts, contents, copy, git, update
from support.projects import UP_AND_DOWN, Database, Project, last_line

PACKAGE = ["app/models/__init__.py", "app/models/user.py"]
USERS = ["shop/user/__init__.py", "shop/user/models.py", "tests/test_models.py"]

# Paths as in public projects, with the module of the tables and the folder that has it.
ONE_PLACE = {
    "src": (["src/shop/models.py"], "shop.models", "src"),
    "package of models": (["src/shop/models/__init__.py"], "shop.models", "src"),
    "root": (["shop/models.py", "tests/models.py"], "shop.models", "root"),
    # miguelgrinberg/microblog
    "microblog": (
        ["app/models.py", "app/__init__.py", "microblog.py", "config.py"],
        "app.models",
        "root",
    ),
    # fastapi/full-stack-fastapi-template, in its folder backend
    "full stack": (
        ["app/models.py", "app/core/db.py", "app/alembic/env.py", "app/__init__.py"],
        "app.models",
        "root",
    ),
    # Its releases before SQLModel, in the folder backend/app
    "full stack, before": (
        ["app/__init__.py", "app/db/base.py", "app/db/base_class.py", *PACKAGE],
        "app.models",
        "root",
    ),
    # litestar-org/litestar-fullstack, with Advanced Alchemy
    "litestar": (
        ["src/app/__init__.py", "src/app/db/models/__init__.py", "src/app/asgi.py"],
        "app.db.models",
        "src",
    ),
    # cookiecutter-flask/cookiecutter-flask
    "cookiecutter": (
        ["shop/__init__.py", "shop/database.py", "shop/extensions.py", *USERS],
        "shop.user.models",
        "root",
    ),
    "package called src": (["src/__init__.py", "src/models.py"], "src.models", "root"),
    "scripts": (["models.py", "main.py"], "models", "root"),
    "database": (["src/shop/database.py", "src/shop/main.py"], "shop.database", "src"),
    "db": (["shop/db.py"], "shop.db", "root"),
    "extensions": (["shop/extensions.py"], "shop.extensions", "root"),
    "base": (["app/__init__.py", "app/db/base.py"], "app.db.base", "root"),
    "core": (
        ["src/app/__init__.py", "src/app/core/database.py"],
        "app.core.database",
        "src",
    ),
    "folder with brackets": (["src/shop/models.py"], "shop.models", "src"),
}
SEVERAL_PLACES = {
    # Netflix/dispatch, pypi/warehouse: each feature has its models
    "features": (
        ["src/shop/__init__.py", "src/shop/case/models.py", "src/shop/task/models.py"],
        "shop.case.models, shop.task.models",
    ),
    "two packages": (
        ["src/shop/models.py", "src/stock/models/__init__.py"],
        "shop.models, stock.models",
    ),
    "two folders": (["src/shop/models.py", "app/models.py"], "app.models, shop.models"),
    "two bases": (["app/database.py", "app/extensions.py"], "app.database, app.extens"),
}
NO_PLACE = {
    "nothing": [],
    "no models": ["src/shop/main.py", "tests/models.py", "docs/models.py"],
    # zhanymkanov/fastapi_production_template: `src.auth.models` or `auth.models`?
    "src as a folder on the path": ["src/main.py", "src/auth/models.py"],
    # As a folder of services in a monorepo: `backend` is no package.
    "folder of packages": ["backend/app/models.py", "my-app/models.py"],
    "environment": ["venv/models.py", "node_modules/x/models.py"],
}


BASE = """\
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)


"""
OTHER = """\
class Other(DeclarativeBase):
    pass


class Item(Other):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
"""
USER = {"user/__init__.py": "", "user/tables.py": BASE}
CLASSIC = """\
import sqlalchemy as sa
from sqlalchemy.orm import registry

mapper_registry = registry()


@mapper_registry.mapped
class User:
    __tablename__ = "users"

    id = sa.Column(sa.Integer, primary_key=True)
"""
MODELS = {
    # The name of Base is nowhere in the module, as if all its models came from elsewhere.
    "flask": {
        "app/__init__.py": "",
        "app/extensions.py": """\
from flask_sqlalchemy import SQLAlchemy

db = SQLAlchemy()
""",
        "app/models/__init__.py": """\
from .item import Item
from .user import User

__all__ = ["Item", "User"]
""",
        "app/models/item.py": """\
from app.extensions import db


class Item(db.Model):
    __tablename__ = "items"

    id = db.Column(db.Integer, primary_key=True)
""",
        "app/models/user.py": """\
from app.extensions import db


class User(db.Model):
    __tablename__ = "users"

    id = db.Column(db.Integer, primary_key=True)
""",
    },
    "full stack": {
        "app/__init__.py": "",
        "app/core/db.py": "from sqlmodel import create_engine\n",
        "app/models.py": """\
from sqlmodel import Field, SQLModel


class UserBase(SQLModel):
    email: str = Field(unique=True, index=True, max_length=255)


class User(UserBase, table=True):
    __tablename__ = "users"

    id: int | None = Field(default=None, primary_key=True)


class Item(SQLModel, table=True):
    __tablename__ = "items"

    id: int | None = Field(default=None, primary_key=True)
    owner_id: int = Field(foreign_key="users.id")
""",
    },
}
DOWN = "\x1b[B"


def read(project: Path) -> dict[str, Any]:
    """Return the recorded answers."""
    text = (project / ".copier-answers.yml").read_text(encoding="utf-8")
    recorded: dict[str, Any] = yaml.safe_load(text)
    return recorded


def talk(template: Path, project: Path, typed: dict[str, str]) -> str:
    """Press Enter at each question, after what is typed; return what the terminal showed."""
    import pexpect

    child = pexpect.spawn(
        str(script("copier")),
        ["copy", str(template), str(project)],
        dimensions=(60, 200),
        encoding="utf-8",
        timeout=60,
        # Each question would wait a second for where the cursor is.
        env=os.environ | {"PROMPT_TOOLKIT_NO_CPR": "1"},
    )
    child.logfile_read = io.StringIO()
    conversation = (template / "copier.yml").read_text(encoding="utf-8")
    questions = {
        name: re.escape(question["help"].splitlines()[0].partition("{{")[0])
        for name, question in next(yaml.safe_load_all(conversation)).items()
        if "help" in question
    }
    while (number := child.expect([pexpect.EOF, *questions.values()])) > 0:
        name = list(questions)[number - 1]
        del questions[name]  # it is drawn again when it is answered
        child.send(typed.get(name, "") + "\r")
    assert (project / ".copier-answers.yml").is_file(), child.before
    return str(child.logfile_read.getvalue())


def answers(template: Path, project: Path, **given: Any) -> dict[str, Any]:
    """Return what is recorded if somebody presses Enter, apart from what is given."""
    data = {"base_location": "existing"} | given
    copier.run_copy(str(template), project, data=data, defaults=True, quiet=True)
    return read(project)


def refused(template: Path, project: Path, **given: Any) -> str:
    """Return the line that refuses answers, with which nothing is written."""
    before = sorted(project.rglob("*"))
    with pytest.raises(ValueError, match=r"^[^\n]+\Z") as error:
        answers(template, project, **given)
    assert sorted(project.rglob("*")) == before
    return str(error.value)


@pytest.mark.parametrize("name", ONE_PLACE)
def test_one_place_is_the_default(template: Path, tmp_path: Path, name: str) -> None:
    files, module, source_dir = ONE_PLACE[name]
    project = tmp_path / ("[a] *" if "brackets" in name else "project")
    write(project, dict.fromkeys(files, ""))
    recorded = answers(template, project)
    assert (recorded["base_import"], recorded["source_dir"]) == (module, source_dir)
    package, _, last = module.rpartition(".")
    line = f"from {package} import {last}" if package else f"import {last}"
    env_py = (project / "migrations/env.py").read_text(encoding="utf-8")
    assert f"\n    {line}\n\ntarget_metadata = metadata_of({last})\n" in env_py


@pytest.mark.parametrize("name", SEVERAL_PLACES)
def test_several_places_are_named(template: Path, tmp_path: Path, name: str) -> None:
    files, found = SEVERAL_PLACES[name]
    write(tmp_path, dict.fromkeys(files, ""))
    line = refused(template, tmp_path)
    assert f"'base_import': name one with --data base_import=: {found}" in line


@pytest.mark.parametrize("name", NO_PLACE)
def test_without_a_place_there_is_no_default(
    template: Path, tmp_path: Path, name: str
) -> None:
    write(tmp_path, dict.fromkeys(NO_PLACE[name], ""))
    assert 'Question "base_import" is required' in refused(template, tmp_path)


WRONG = [
    ("shop.modls", {}, "'base_import': use shop.models: there is no src/shop/modls.py"),
    ("shop.a.b:Base", {}, "use shop.models: there is no src/shop/a/b.py"),
    (
        "shp.models",
        {},
        "'source_dir': correct base_import: src/ has no shp.models. If it's installed, answer root",
    ),
    (
        "shop.models",
        {"source_dir": "root"},
        "'source_dir': answer src: the project's root has no shop.models",
    ),
    ("tools.models", {"source_dir": "src"}, "answer root: src/ has no tools.models"),
]


@pytest.mark.parametrize(("module", "given", "line"), WRONG)
def test_wrong_answer_is_refused_before_anything_is_written(
    template: Path, tmp_path: Path, module: str, given: dict[str, Any], line: str
) -> None:
    write(tmp_path, {"src/shop/models.py": "", "tools/models/tools.py": ""})
    assert line in refused(template, tmp_path, base_import=module, **given)


RIGHT = [
    ("shop.models:Base", "src"),
    ("shop", "src"),
    ("shop.plugins:metadata", "src"),  # a folder without __init__.py
    ("tools.models", "root"),
    ("optuna.storages._rdb.models:BaseModel", "root"),  # it is installed
]


@pytest.mark.parametrize(("module", "source_dir"), RIGHT)
def test_right_answer_is_accepted(
    template: Path, tmp_path: Path, module: str, source_dir: str
) -> None:
    write(tmp_path, {"src/shop/models.py": "", "src/shop/plugins/a.py": ""})
    write(tmp_path, {"tools/models.py": "", "src/shop/__init__.py": ""})
    given = {"source_dir": "root"} if "optuna" in module else {}
    recorded = answers(template, tmp_path, base_import=module, **given)
    assert (recorded["base_import"], recorded["source_dir"]) == (module, source_dir)


def test_folder_without_code_takes_every_answer(template: Path, tmp_path: Path) -> None:
    """The models may be written, or generated, after the migrations."""
    write(tmp_path, {"README.md": "", "tests/test_shop.py": ""})
    recorded = answers(template, tmp_path, base_import="shop.models:Base")
    assert recorded["source_dir"] == "src"


def test_update_keeps_answers_whose_module_has_moved(tmp_path: Path) -> None:
    """An update changes what the template owns; a new answer is looked for."""
    (tmp_path / "template").mkdir()
    project = tmp_path / "project"
    write(project, {"src/shop/models.py": "", "manage.py": ""})
    own = committed(tmp_path / "template")
    copy(own, project, {"base_location": "existing"})
    git(project, "mv", "src", "lib")
    commit(project, "Move")
    update(project, ci="github")
    assert (project / ".github/workflows/migrations.yml").is_file()
    assert read(project)["source_dir"] == "src"
    assert conflicts(project) == []
    commit(project, "Update")

    git(project, "mv", "lib/shop", "shop")
    commit(project, "Move again")
    before = contents(project)
    with pytest.raises(ValueError, match=r"use shop\.models: there is no shop/tables"):
        update(project, base_import="shop.tables")
    with pytest.raises(ValueError, match=r"answer root: src/ has no shop\.models"):
        update(project, base_import="shop.models:Base", source_dir="src")
    assert contents(project) == before
    update(project, base_import="shop.models:Base")
    assert read(project)["source_dir"] == "root"
    assert conflicts(project) == []


def test_other_databases_are_found_and_looked_for(
    template: Path, tmp_path: Path
) -> None:
    more: dict[str, Any] = {"more_databases": {"stock": "sqlite:///stock.db"}}
    write(tmp_path, {"src/shop/models.py": "", "src/shop/stock.py": ""})
    wrong = more | {"more_base_imports": {"stock": "shop.stok:Base"}}
    line = "'more_base_imports': stock: correct the module, or create src/shop/stok.py"
    assert line in refused(template, tmp_path, **wrong)
    other: dict[str, Any] = {"more_databases": {"logs": "sqlite:///logs.db"}}
    line = 'Question "more_base_imports" is required'
    assert line in refused(template, tmp_path, **other)
    recorded = answers(template, tmp_path, **more)
    assert recorded["more_base_imports"] == {"stock": "shop.stock"}


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect needs a pseudo-terminal")
@pytest.mark.parametrize("kind", ["flask", "full stack"])
def test_adopted_project_migrates_after_enter(
    template: Path, tmp_path: Path, database: Database, kind: str
) -> None:
    url = database("sqlite", "pysqlite")
    write(tmp_path, MODELS[kind])
    talk(template, tmp_path, {"base_location": f"{DOWN}{DOWN}"})
    project = Project(tmp_path, url)
    project.alembic("revision", "--autogenerate", "-m", "baseline")
    project.alembic_each(UP_AND_DOWN)
    assert tables(url) == {"users", "items"}
    assert "nothing imports" not in project.alembic("check")


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect needs a pseudo-terminal")
def test_prompt_shows_the_places_and_the_folders(
    template: Path, tmp_path: Path
) -> None:
    write(tmp_path, {"src/shop/models.py": "", "src/stock/models.py": ""})
    asked = talk(
        template,
        tmp_path,
        {"base_location": f"{DOWN}{DOWN}", "base_import": "optuna.models:BaseModel"},
    )
    for line in ["- shop.models", "- stock.models", "write a module that imports them"]:
        assert line in asked
    assert "(correct base_import: src/ has no optuna.models." in asked
    assert read(tmp_path)["source_dir"] == "root"


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"models.py": BASE + "class Other(DeclarativeBase):\n    pass\n"}, ""),
        ({"models/__init__.py": "from . import user\n", "models/user.py": BASE}, ""),
        ({"models/__init__.py": "", "models/user.py": BASE}, "or several. Import your"),
        (
            {"models.py": BASE + OTHER},
            "or several. Import your Base",
        ),
        ({"models.py": CLASSIC}, ""),
        ({"models.py": "from .user import tables\n", **USER}, ""),
        ({"models.py": "import shop.user.tables\n", **USER}, ""),
        (
            {"models.py": "from .user import other, tables\n", **USER}
            | {"user/other.py": BASE.replace("users", "other")},
            "shop.models has no MetaData, or several. Import your Base",
        ),
        ({"models.py": "import sqlalchemy as sa\n"}, "or several. Import your Base"),
    ],
    ids=[
        "unused base",
        "submodule",
        "not imported",
        "two bases",
        "registry",
        "imported module",
        "imported package",
        "two imported modules",
        "no tables",
    ],
)
def test_tables_of_a_module_are_those_of_its_one_metadata(
    template: Path, tmp_path: Path, database: Database, files: dict[str, str], line: str
) -> None:
    write(tmp_path / "shop", files)
    answers(template, tmp_path)
    project = Project(tmp_path, database("sqlite", "pysqlite"))
    output = project.alembic("revision", "--autogenerate", "-m", "a", fails=bool(line))
    if line:
        assert line in last_line(output)
    else:
        assert "'users'" in project.revision("a").read_text()
