"""What a project's page of deployment says can be copied: it fits its schema, and its commands migrate."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import validate
from sqlalchemy import URL, make_url

from support import databases
from support.commands import environment, run, script
from support.databases import url_text
from support.projects import Database, Project, Render
from support.revisions import HERO
from support.variants import (
    ENGINE_OF,
    FEATURES,
    INSTALLED,
    POSTGRESQL,
    SEVERAL,
    TENANTS,
    Engine,
    Variant,
)

SQLITE = ENGINE_OF["sqlite-aiosqlite-async"]
MARIADB = ENGINE_OF["mariadb-pymysql-sync"]

# Each two of: database, layout, place of the migrations, several databases, tenants, CI; with
# `lint`, which protects a database, and without.
VARIANTS = [
    Variant(SQLITE, migrations_in_package=True, ci="none", features=()),
    Variant(POSTGRESQL, ci="none", features=FEATURES["default"]),
    Variant(MARIADB, "module", migrations_in_package=True, ci="gitlab"),
    Variant(POSTGRESQL, "module", migrations_in_package=True, more=(MARIADB,)),
    Variant(MARIADB, ci="gitlab", more=(POSTGRESQL, ENGINE_OF["sqlite-pysqlite-sync"])),
    Variant(POSTGRESQL, migrations_in_package=True, ci="gitlab", tenants="schema"),
    Variant(SQLITE, "module", tenants="database"),
    SEVERAL[0],
    TENANTS[1],
]

# What takes time and changes nothing of what is tested.
FAST = {"UV_COMPILE_BYTECODE": "0", "UV_LINK_MODE": "hardlink", "PYTHONPATH": ""}

# What Helm fills in.
CHART = {"{{ .Release.Name }}": "shop", "{{ .Chart.AppVersion }}": "0.1.0"}


def blocks(project: Path, language: str = "yaml") -> dict[str, str]:
    """Return the blocks of the page in one language by the headings that they stand below."""
    page = (project / "docs/deployment.md").read_text(encoding="utf-8")
    sections = [section.partition("\n") for section in page.split("\n## ")[1:]]
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    found = {heading: fence.findall(text) for heading, _, text in sections}
    return {heading: texts[0] for heading, texts in found.items() if texts}


def manifests(project: Path) -> dict[str, dict[str, Any]]:
    """Return what is for Kubernetes, with Helm's values filled in."""
    found = {}
    for heading, text in blocks(project).items():
        for template, value in CHART.items():
            text = text.replace(template, value)
        if text.startswith("apiVersion"):
            found[heading] = yaml.safe_load(text)
    return found


def migrating_container(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the container that migrates."""
    pod = manifest["spec"]["template"]["spec"]
    [container] = pod.get("initContainers", pod["containers"])
    return dict(container)


def test_every_block_fits_the_schema_of_its_tool(
    render: Render, tmp_path: Path
) -> None:
    files: dict[str, set[Path]] = defaultdict(set)
    for variant in VARIANTS:
        project = render(variant)
        texts = blocks(project) | blocks(project, "dockerfile")
        remote = "sqlite" not in {e.database for e in (variant.engine, *variant.more)}
        expected = {"The image", "Kubernetes: an init container", "Compose"}
        if remote:
            expected |= {"Kubernetes: a Job", "Helm: a hook"}
            expected |= {"GitHub Actions"} if variant.ci != "gitlab" else set()
            expected |= {"GitLab"} if variant.ci != "github" else set()
        assert set(texts) == expected
        for heading, text in texts.items():
            folder = tmp_path / str(len(files["all"]))
            path = folder / ".github/workflows/deploy.yml"
            path.parent.mkdir(parents=True)
            path.write_text(text, encoding="utf-8")
            files[heading].add(path)
            files["all"].add(path)
        for manifest in manifests(project).values():
            validate(manifest, "1.34", strict=True)
    for heading, schema in {
        "Compose": "compose-spec",
        "GitHub Actions": "github-workflows",
        "GitLab": "gitlab-ci",
    }.items():
        options = ("--builtin-schema", f"vendor.{schema}")
        run(script("check-jsonschema"), *options, *files[heading], cwd=tmp_path)
    run(script("hadolint"), *files["The image"], cwd=tmp_path)
    run(script("zizmor"), "--offline", *files["GitHub Actions"], cwd=tmp_path)


def test_page_says_the_same_in_each_place(render: Render) -> None:
    """One command, the protection, and the pinned actions of the project's own CI."""
    for variant in VARIANTS:
        project = render(variant)
        protected = "true" if "lint" in variant.rooms else None
        image = blocks(project, "dockerfile")["The image"]
        command = json.loads(re.findall(r"^CMD (.*)$", image, re.MULTILINE)[0])
        assert command[-1] == "head" or variant.tenants != "none"
        for manifest in manifests(project).values():
            container = migrating_container(manifest)
            assert container["command"][: len(command)] == command
            variables = {env["name"]: env["value"] for env in container.get("env", [])}
            assert variables.get("MIGRATIONS_PROTECTED") == protected
            if manifest["spec"].get("completionMode") == "Indexed":
                shards = container["command"][len(command) :]
                assert shards[:2] == ["--shard", str(manifest["spec"]["completions"])]
        compose = yaml.safe_load(blocks(project)["Compose"])["services"]["migrate"]
        assert compose["environment"].get("MIGRATIONS_PROTECTED") == protected
        for text in ci_jobs(project).values():
            assert f" --no-dev {' '.join(command)}\n" in text
            assert ('MIGRATIONS_PROTECTED: "true"' in text) == bool(protected)
        if variant.ci == "github" and "GitHub Actions" in blocks(project):
            ci = (project / ".github/workflows/ci.yml").read_text(encoding="utf-8")
            actions = re.findall("uses: .*", blocks(project)["GitHub Actions"])
            assert actions == re.findall("uses: .*", ci)


def ci_jobs(project: Path) -> dict[str, str]:
    """Return the deployment jobs of the page."""
    found = blocks(project)
    return {name: found[name] for name in ("GitHub Actions", "GitLab") if name in found}


def test_image_has_git_where_uv_needs_it(render: Render) -> None:
    """An installed kit comes from git, which the slim image has not."""
    for variant in (VARIANTS[0], INSTALLED[0]):
        image = blocks(render(variant), "dockerfile")["The image"]
        assert ("-slim AS build\n" in image) == (variant.kit == "copied")


@dataclass
class Image:
    """What a Dockerfile makes, in a folder in place of the root of the file system."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    command: list[str] = field(default_factory=list)
    signal: str = "SIGTERM"
    user: str = "root"

    def path(self, name: str) -> Path:
        """Return a path of the image as it is here."""
        return self.root / os.path.join(self.folder, name).lstrip("/")

    def own(self, text: str) -> str:
        """Lead absolute paths, of a file or in a variable, into the image."""
        return re.sub(r"(?<![\w.])/(?=app\b|data\b)", f"{self.root}/", text)


def build(project: Path, folder: Path, installs: bool) -> Image:
    """Do what the page's Dockerfile says, without Docker.

    Args:
        project: the context.
        folder: where the stages will be; a stage is moved away when the next one begins, so that
            nothing of it is found which was not copied.
        installs: whether RUN runs uv; else this environment stands for the image's own.
    """
    if not installs:
        (project / "uv.lock").touch()
    stages: dict[str, Path] = {}
    name = ""
    image = Image(folder / "image")
    for line in blocks(project, "dockerfile")["The image"].splitlines():
        instruction, _, rest = line.partition(" ")
        match instruction:
            case "FROM":
                if image.root.exists():
                    image.root.rename(folder / name)
                    stages[name] = folder / name
                name = rest.split()[-1]
                image = Image(folder / "image")
                image.root.mkdir()
            case "ENV":
                for variable in rest.split():
                    key, _, value = variable.partition("=")
                    path = value.replace("$PATH", os.environ["PATH"])
                    image.env[key] = image.own(path)
            case "WORKDIR":
                image.folder = rest
                image.path(".").mkdir(parents=True)
            case "COPY":
                copy(rest.split(), project, stages, image)
            case "RUN" if rest.startswith("uv "):
                if installs:
                    python = {"UV_PYTHON": sys.executable, "VIRTUAL_ENV": ""}
                    where = image.path(".")
                    env = image.env | python | FAST
                    run(script("uv"), *rest.split()[1:], cwd=where, env=env)
            case "RUN":
                assert rest == "install --directory --owner=10001 /data"
                image.path("/data").mkdir()
            case "USER":
                image.user = rest
            case "STOPSIGNAL":
                image.signal = rest
            case "CMD":
                image.command = json.loads(rest)
            case _:
                assert not line, line
    return image


def copy(
    words: list[str], project: Path, stages: dict[str, Path], image: Image
) -> None:
    """Do what COPY does: a folder's files go into the target, a file to its name."""
    source = project
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")]
    *names, target = words
    for name in names:
        path, to = source / name.lstrip("/"), image.path(target)
        if path.is_dir():
            shutil.copytree(path, to, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(path, to / path.name if target.endswith("/") else to)


@pytest.mark.parametrize("variant", VARIANTS[:-2], ids=str)
def test_image_has_all_that_its_command_needs(
    render: Render, database: Database, tmp_path: Path, variant: Variant
) -> None:
    """Nothing but the files that the Dockerfile copies is there."""
    project = render(variant)
    image = build(project, tmp_path, installs=False)
    env = {"PYTHONPATH": "src", **variables_of(project, variant, image, database)}
    place = Project(image.path("."), env=env)
    if variant.tenants != "none":
        return migrate_tenants(place, project, image, variant, env["DATABASE_URL"])
    place.run(*image.command)
    for url in urls_of(env):
        assert databases.version(url) == ([HERO] if url == urls_of(env)[0] else [])
    return None


def variables_of(
    project: Path, variant: Variant, image: Image, database: Database
) -> dict[str, str]:
    """Return what the platform gives to the container: values of the manifest, and a secret."""
    manifest = manifests(project)["Kubernetes: an init container"]
    container = migrating_container(manifest)
    values = container.get("env", [])
    found = {env["name"]: image.own(env["value"]) for env in values}
    engines: dict[str, Engine] = {"DATABASE_URL": variant.engine}
    engines |= {
        f"{name.upper()}_DATABASE_URL": engine
        for name, engine in zip(variant.more_databases, variant.more, strict=True)
    }
    for name, engine in engines.items():
        if engine.server:
            assert "envFrom" in container
            found[name] = url_text(database(engine.database, engine.driver))
    protected = {"MIGRATIONS_PROTECTED"} if "lint" in variant.rooms else set()
    assert set(found) == {*engines, *protected}
    return found


def urls_of(env: dict[str, str]) -> list[URL]:
    """Return the databases, the first one first."""
    names = sorted(name for name in env if name.endswith("DATABASE_URL"))
    names.sort(key=lambda name: name != "DATABASE_URL")
    return [databases.sync_url(make_url(env[name])) for name in names]


def migrate_tenants(
    place: Project, project: Path, image: Image, variant: Variant, url: str
) -> None:
    """Run the Job's command as each of its pods, where there is a Job, else the image's own."""
    path = f"{variant.migrations}/tenants.py"
    path = path if (place / path).exists() else f"src/my_app/{variant.migrations}"
    source = place.read(path)
    source = re.sub(
        r"    raise NotImplementedError\(.*\)\n",
        '    return ["a", "b"]\n',
        source,
        count=1,
    )
    place.write(path, source)
    for tenant in ("a", "b"):
        if variant.engine.server:
            databases.query(make_url(url), f"CREATE SCHEMA {tenant}")
        else:
            image.path(f"/data/{tenant}.db").touch()
    jobs = [m for m in manifests(project).values() if m["kind"] == "Job"]
    if not jobs:
        place.run(*image.command)
    for index in range(jobs[0]["spec"]["completions"] if jobs else 0):
        command = migrating_container(jobs[0])["command"]
        place.run(*command, env={"JOB_COMPLETION_INDEX": str(index)})
    current = [*image.command[: image.command.index("tenants") + 1], "current"]
    output = place.run(*current, "--check-heads")
    assert f"2 tenants: 2 at the head, {HERO}; 0 not" in output


def test_image_is_built_and_migrates(
    render: Render, database: Database, tmp_path: Path
) -> None:
    """uv runs the RUN steps, and the command and the step of CI have no other environment."""
    variant = VARIANTS[3]
    project = render(variant)
    run(script("uv"), "lock", cwd=project)
    image = build(project, tmp_path, installs=True)
    env = image.env | variables_of(project, variant, image, database)
    packages = {
        path.name for path in image.root.glob("app/.venv/lib/*/site-packages/*")
    }
    assert {"alembic", "sqlalchemy"} <= packages
    assert not {"pytest", "mypy", "ruff"} & packages
    subprocess.run(image.command, cwd=image.path("."), env=env, check=True)
    first, *more = urls_of(env)
    assert databases.version(first) == [HERO]
    assert all(databases.version(url) == [] for url in more)
    for job in ci_jobs(project).values():
        [command] = re.findall(r"(?:run:|-) (uv run .*)$", job, re.MULTILINE)
        databases.query(first, "DROP TABLE heroes")
        databases.query(first, "DELETE FROM alembic_version")
        # A job has a fresh environment as well; what was installed above is at hand.
        uv = {"UV_PROJECT_ENVIRONMENT": str(image.path("/app/.venv")), **FAST}
        uv |= {"PATH": f"{script('uv').parent}:{os.environ['PATH']}"}
        run("sh", "-euc", command, cwd=project, env=env | uv)
        assert databases.version(first) == [HERO]
        assert not list(image.root.glob("app/.venv/lib/*/site-packages/pytest"))
    shutil.rmtree(image.root)


SLOW = """
from pathlib import Path
from time import sleep
op.create_table("capes", sa.Column("id", sa.Integer(), primary_key=True))
Path("begun").touch()
sleep(60)
"""


# Undoes what a shell does for a suite in its background.
HEED_INTERRUPTS = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_signal_of_the_image_reaches_alembic_as_process_1(
    render: Render, tmp_path: Path
) -> None:
    """A kernel gives process 1 no signal that it does not handle, such as SIGTERM."""
    isolated = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]
    if shutil.which("unshare") is None or subprocess.call([*isolated, "true"]):
        pytest.skip("no process can have a namespace of its own here")
    project = Project(render())
    project.add_revision("one", SLOW)
    image = build(project.path, tmp_path, installs=False)
    file = tmp_path / "app.db"
    url = f"sqlite+pysqlite:///{file}"
    heeding = [sys.executable, "-c", HEED_INTERRUPTS]
    process = subprocess.Popen(
        [*heeding, *isolated, script(image.command[0]), *image.command[1:]],
        cwd=image.path("."),
        env=environment(DATABASE_URL=url, PYTHONPATH="src"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    begun = image.path("begun")
    while not begun.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    [child] = children.read_text().split()
    os.kill(int(child), signal.Signals[image.signal])
    output, _ = process.communicate(timeout=30)
    assert process.returncode, output
    assert databases.tables(make_url(url)) == set()
