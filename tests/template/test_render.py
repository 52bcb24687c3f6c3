"""Every valid combination of answers renders, and looks as if somebody had written it."""

from __future__ import annotations

import configparser
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from support.commands import run, script
from support.layout import expected_tree
from support.projects import Render
from support.releases import ROOT, template_files
from support.variants import ALL, ENGINE_OF, Variant


def files(project: Path) -> list[Path]:
    return sorted(path for path in project.rglob("*") if path.is_file())


# Most bytes are those of many variants: what was found good once, in this process, is good.
CLEAN: set[tuple[str, str]] = set()
LINTED: set[frozenset[tuple[str, str]]] = set()

# What env.py has besides the import of Base, by the kind of project.
BODIES: dict[bool, list[str]] = {}


@pytest.mark.parametrize("variant", ALL, ids=str)
def test_variant_is_clean(render: Render, variant: Variant) -> None:
    project = render(variant)
    contents = {
        path.relative_to(project).as_posix(): path.read_text(encoding="utf-8")
        for path in files(project)
    }
    assert contents.keys() == expected_tree(variant)
    folders = [path for path in project.rglob("*") if path.is_dir()]
    assert [path for path in folders if not any(path.iterdir())] == []
    for name, content in contents.items():
        path = project / name
        if (path.suffix, content) not in CLEAN:
            assert_looks_hand_written(path, content)
            assert_parses(path, content)
            CLEAN.add((path.suffix, content))
    assert_kit_is_the_templates(variant, contents)
    if variant.existing:
        (project / variant.package).mkdir(parents=True)
        (project / variant.package / "models.py").touch()
    if (linted := what_ruff_reads(contents)) not in LINTED:
        others = ("--no-cache", "--extend-exclude", "migration_kit")
        run(script("ruff"), "format", "--check", *others, cwd=project)
        run(script("ruff"), "check", *others, cwd=project)
        LINTED.add(linted)


def assert_kit_is_the_templates(variant: Variant, contents: dict[str, str]) -> None:
    """It is updated without a conflict, and env.py is short and everywhere the same."""
    kit = f"{variant.migrations}/migration_kit/"
    touching = set()
    for name, content in contents.items():
        if name.startswith(kit):
            assert content == KIT[name.removeprefix(kit)], name
        if name.endswith(".py") and "sys.path" in content:
            touching.add(name)
    histories = [variant.migrations]
    histories += [f"{variant.migrations}/{name}" for name in variant.more_databases]
    entrances = {f"{folder}/env.py" for folder in histories}
    assert touching == entrances | {f"{variant.migrations}/__main__.py"}
    lines = contents[f"{variant.migrations}/env.py"].splitlines()
    assert len(lines) < 25
    body = [line for line in lines if line not in IMPORTS]
    assert body == BODIES.setdefault(variant.existing, body)


IMPORTS = ["    from my_app.models import Base", "    from my_app.database import Base"]


def template_kit() -> dict[str, str]:
    """Return the kit's modules; none of them is a template of Jinja's."""
    kit = "template/{{ migrations_path }}/migration_kit/"
    return {
        name.removeprefix(kit): (ROOT / name).read_text(encoding="utf-8")
        for name in template_files()
        if name.startswith(kit)
    }


KIT = template_kit()


def what_ruff_reads(contents: dict[str, str]) -> frozenset[tuple[str, str]]:
    """Return its settings, and each Python file: imports are sorted by which files there are.

    The kit is the same in each, and looked at where it is.
    """
    settings = tomllib.loads(contents.get("pyproject.toml", ""))
    ruff = settings.get("tool", {}).get("ruff", {})
    requires = settings.get("project", {}).get("requires-python", "")
    return frozenset(
        {
            ("pyproject.toml", json.dumps([ruff, requires], sort_keys=True)),
            *(
                (name, text)
                for name, text in contents.items()
                if name.endswith(".py") and "/migration_kit/" not in name
            ),
        }
    )


def assert_looks_hand_written(path: Path, content: str) -> None:
    if not content:
        return
    # GitHub's expressions have a dollar, and Helm's a dot; the kit is not rendered.
    jinja = re.findall(r"(?<!\$)\{\{(?! \.[A-Z])|\{%|%\}|\{#", content)
    assert not jinja or "migration_kit" in path.parts, f"{path}: Jinja is left: {jinja}"
    assert re.fullmatch(r"\S(.|\n)*\S\n", content), f"{path}: blank lines at an end"
    assert not re.search(r"[ \t]\n", content), f"{path}: trailing whitespace"
    if path.suffix in {".yml", ".yaml"}:
        assert not re.search(r":\n\n +\S", content), f"{path}: a scar of a blank line"
    blank_lines = 2 if path.suffix in {".py", ".mako"} else 1
    assert "\n" * (blank_lines + 2) not in content, f"{path}: a scar of blank lines"


def assert_parses(path: Path, content: str) -> None:
    match path.suffix:
        case ".py":
            compile(content, path, "exec")
        case ".toml":
            tomllib.loads(content)
        case ".yml" | ".yaml":
            assert yaml.safe_load(content)
        case ".ini":
            configparser.ConfigParser({"here": "."}).read_string(content)


def test_variants_share_their_bytes(render: Render) -> None:
    """What an answer does not concern stays the same byte for byte, so that it can be updated."""
    models, module = (
        render(Variant(base_location="models")),
        render(Variant(base_location="module")),
    )
    for path in [
        "alembic.ini",
        "pyproject.toml",
        "src/my_app/engine.py",
        "migrations/script.py.mako",
    ]:
        assert (models / path).read_bytes() == (module / path).read_bytes()
    assert (models / "src/my_app/models/base.py").read_bytes() == (
        module / "src/my_app/base.py"
    ).read_bytes()


def test_migrations_do_not_read_whether_the_application_awaits_its_driver(
    render: Render,
) -> None:
    """So `SHAPES` has each driver once."""
    sync, awaited = (
        render(Variant(ENGINE_OF[f"postgresql-psycopg-{kind}"]))
        for kind in ("sync", "async")
    )
    read = ["alembic.ini", "migrations/**/*", "src/my_app/models/*"]
    paths = [path for pattern in read for path in sync.glob(pattern) if path.is_file()]
    assert len(paths) > 25
    for path in paths:
        same = awaited / path.relative_to(sync)
        assert path.read_bytes() == same.read_bytes()


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mysql", "mariadb"])
@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_ci_of_the_project_is_valid(render: Render, database: str, ci: str) -> None:
    project = render(database=database, ci=ci)
    check = script("check-jsonschema")
    if ci == "gitlab":
        run(
            check, "--builtin-schema", "vendor.gitlab-ci", ".gitlab-ci.yml", cwd=project
        )
        return
    workflow = ".github/workflows/ci.yml"
    run(check, "--builtin-schema", "vendor.github-workflows", workflow, cwd=project)
    run(script("zizmor"), "--offline", workflow, cwd=project)


@pytest.mark.parametrize(
    ("database", "url", "environment", "port"),
    [
        (
            "postgresql",
            "postgresql+psycopg://ada:p%40ss%24word@localhost:6000/hall",
            {
                "POSTGRES_USER": "ada",
                "POSTGRES_PASSWORD": "p@ss$$word",
                "POSTGRES_DB": "hall",
            },
            "127.0.0.1:6000:5432",
        ),
        (
            "postgresql",
            "postgresql+psycopg://ada@localhost/hall",
            {
                "POSTGRES_USER": "ada",
                "POSTGRES_HOST_AUTH_METHOD": "trust",
                "POSTGRES_DB": "hall",
            },
            "127.0.0.1:5432:5432",
        ),
        (
            "mysql",
            "mysql+pymysql://ada:caf%C3%A9@localhost/hall",
            {
                "MYSQL_USER": "ada",
                "MYSQL_PASSWORD": "café",
                "MYSQL_RANDOM_ROOT_PASSWORD": "yes",
                "MYSQL_DATABASE": "hall",
            },
            "127.0.0.1:3306:3306",
        ),
        (
            "mariadb",
            "mariadb+pymysql://root:secret@localhost/hall",
            {"MARIADB_ROOT_PASSWORD": "secret", "MARIADB_DATABASE": "hall"},
            "127.0.0.1:3306:3306",
        ),
        (
            "mariadb",
            "mariadb+pymysql://root@localhost/hall",
            {"MARIADB_ALLOW_EMPTY_PASSWORD": "yes", "MARIADB_DATABASE": "hall"},
            "127.0.0.1:3306:3306",
        ),
    ],
)
def test_compose_and_url_agree(
    render: Render, database: str, url: str, environment: dict[str, str], port: str
) -> None:
    project = render(database=database, database_url=url, compose=True)
    service = yaml.safe_load((project / "compose.yaml").read_text(encoding="utf-8"))[
        "services"
    ]["db"]
    assert service["environment"] == environment
    assert service["ports"] == [port]
    assert ("configs" in service) == (database != "postgresql" and "root" not in url)
    run(
        script("check-jsonschema"),
        *("--builtin-schema", "vendor.compose-spec", "compose.yaml"),
        cwd=project,
    )


def test_user_of_compose_may_create_the_databases_of_the_tests(
    render: Render,
) -> None:
    url = "mysql+pymysql://o%27br%24ien:x@localhost/hall"
    project = render(database="mysql", database_url=url, compose=True)
    compose = yaml.safe_load((project / "compose.yaml").read_text(encoding="utf-8"))
    grant = compose["configs"]["grants"]["content"]
    assert grant == "GRANT ALL ON *.* TO 'o''br$$ien'@'%';"
    [config] = compose["services"]["db"]["configs"]
    assert config["source"] == "grants"
    assert config["target"].startswith("/docker-entrypoint-initdb.d/")


def test_template_holds_to_its_rules() -> None:
    """Its tree is a project's: a path has values only, which Windows can check out. A Python or
    mako file has values only, unless it includes the part that the answers choose."""
    for name in template_files():
        folder, _, relative = name.partition("/")
        if folder not in {"template", "parts"}:
            continue
        assert not re.search(r'["\'|<>:?*\\]', relative), relative
        loop = (
            r"\{% yield db from databases\.\w+ %\}\{\{ db\.folder \}\}\{% endyield %\}"
        )
        assert "{%" not in re.sub(loop, "", relative), relative
        content = (ROOT / name).read_text(encoding="utf-8")
        assert "{%-" not in content, relative
        assert "-%}" not in content, relative
        for line in content.splitlines():
            if "{%" in line:
                assert re.fullmatch(r"\s*\{% .* %\}", line), f"{relative}: {line}"
                assert line.count("{%") == 1, f"{relative}: {line}"
                if ".py" in relative:
                    assert content == f"{line}\n", f"{relative}: {line}"
                    assert line.startswith("{% include 'parts/"), f"{relative}: {line}"


def test_every_part_is_included() -> None:
    """A part that nothing includes would not be noticed."""
    text = "".join(
        (ROOT / name).read_text(encoding="utf-8")
        for name in template_files()
        if name.endswith(".jinja")
    )
    included = {part.split("/")[0] for part in re.findall(r"'parts/([\w./]+)", text)}
    parts = {path.name for path in (ROOT / "parts").iterdir()}
    assert parts == included


def test_nobody_needs_trust() -> None:
    """Copier asks for `--trust` where a template has one of these."""
    for path in [ROOT / "copier.yml", *files(ROOT / "questions")]:
        text = path.read_text(encoding="utf-8")
        asks = r"(?m)^_(tasks|migrations|jinja_extensions):"
        assert not re.search(asks, text), path
    [conversation, _] = yaml.safe_load_all(
        (ROOT / "copier.yml").read_text(encoding="utf-8").replace("!include", "")
    )
    own = {"recorded": "{{ _copier_conf.answers_file }}"}  # not outside the project
    assert conversation["_external_data"] == own


def test_ci_matrix_is_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    engines = json.loads(run(sys.executable, "tests/support/variants.py", cwd=ROOT))
    assert engines == list(dict.fromkeys(str(variant.engine) for variant in ALL))
