"""Two projects in one repository, and two templates in one project."""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from copier._cli import CopierApp

from support import history
from support.commands import UV_RUNS_HERE, environment, run, script
from support.history import commit, git
from support.layout import command
from support.projects import Database, Project, last_line

FEATURES = ["autogenerate", "branches", "testing"]
OWN = ".copier-answers.migrations.yml"

# A template that makes a project, with a release that changes its file.
OTHER = {
    "copier.yml": "name: shop\n",
    "{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers | to_nice_yaml }}",
    "pyproject.toml.jinja": '[project]\nname = "{{ name }}"\n',
    "src/shop/__init__.py": "",
    "src/shop/models.py": "from sqlalchemy import MetaData\n\nmetadata = MetaData()\n",
}


def copy(template: Path, project: Path, file: str | None = None, **answers: Any) -> str:
    """Copy a template with Copier's command, and return what it says."""
    project.mkdir(parents=True, exist_ok=True)
    data = [f"--data={name}={value}" for name, value in answers.items()]
    option = ["--answers-file", file] if file else []
    return run_copier("copy", *data, *option, str(template), cwd=project, to=project)


def run_copier(verb: str, *arguments: str, cwd: Path, to: Path | None = None) -> str:
    """Run a command of Copier with the answers that it has, in this process."""
    defaults = (
        [] if "--defaults" in arguments or verb == "check-update" else ["--defaults"]
    )
    folder = [str(to)] if to else []
    line = ["copier", verb, *defaults, *arguments, *folder]
    said = io.StringIO()
    with chdir(cwd), redirect_stdout(said), redirect_stderr(said):
        _, status = CopierApp.run(line, exit=False)
    assert status == 0, said.getvalue()
    return said.getvalue()


def run_printed(printed: str, cwd: Path) -> str:
    """Run a command of Copier as a message or a file has it."""
    assert printed.startswith("uvx copier update "), printed
    return run_copier(*shlex.split(printed)[2:], cwd=cwd)


def answers(project: Path, file: str = ".copier-answers.yml") -> dict[str, Any]:
    return dict(yaml.safe_load((project / file).read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def repository(committed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two projects of this template: the second one has no lint, and answers of its own name."""
    root = tmp_path_factory.mktemp("monorepo")
    git(root, "init", "--quiet")
    features = [*FEATURES, "lint"]
    copy(committed, root / "services/orders", features=features, ci="github")
    copy(committed, root / "services/billing", OWN, features=FEATURES, ci="github")
    workflows = root / ".github/workflows"
    workflows.mkdir(parents=True)
    for name in ("orders", "billing"):
        own = root / "services" / name / ".github/workflows/ci.yml"
        shutil.copy(own, workflows / f"services-{name}-ci.yml")
    commit(root, "Start")
    return root


@pytest.fixture
def root(repository: Path, tmp_path: Path) -> Path:
    return shutil.copytree(repository, tmp_path / "monorepo")


@pytest.fixture
def monorepo(root: Path) -> Project:
    """The repository's root as the folder that commands run in, with both packages installed."""
    return at(root, root)


def at(root: Path, folder: Path) -> Project:
    packages = [str(root / "services" / name / "src") for name in ("orders", "billing")]
    return Project(folder, env={"PYTHONPATH": os.pathsep.join(packages)})


def play(root: Path, workflow: str) -> str:
    """Run the steps of a workflow as GitHub does, and return the first one that fails."""
    text = (root / ".github/workflows" / workflow).read_text(encoding="utf-8")
    job = yaml.safe_load(text)["jobs"]["migrations"]
    folder = root / job.get("defaults", {}).get("run", {}).get("working-directory", "")
    for step in job["steps"]:
        line = step.get("run", "")
        if "check-update" in line:
            line = re.sub(r".*uvx copier@\S+ (check-update[^|]*?) 2>&1.*", r"\1", line)
            assert "up-to-date" in run_copier(*shlex.split(line), cwd=folder)
        elif line and not in_shell(folder, line, job["env"]):
            return str(step.get("name", line))
    return ""


def in_shell(folder: Path, line: str, env: dict[str, str]) -> bool:
    env = environment(**UV_RUNS_HERE | env)
    return not subprocess.run(
        ["sh", "-euc", line], cwd=folder, env=env, check=False
    ).returncode


def test_workflows_run_at_the_root_for_their_folder_only(root: Path) -> None:
    run(
        "git",
        *history.IDENTITY,
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "x",
        cwd=root,
    )
    names, paths = set(), []
    for name in ("orders", "billing"):
        file = f".github/workflows/services-{name}-ci.yml"
        schema = ("--builtin-schema", "vendor.github-workflows")
        run(script("check-jsonschema"), *schema, file, cwd=root)
        run(script("zizmor"), "--offline", file, cwd=root)
        workflow = yaml.safe_load((root / file).read_text(encoding="utf-8"))
        names.add(workflow["name"])  # `concurrency` cancels a run of the same name
        triggers = workflow[True]  # what YAML reads as `on`
        paths.append(triggers["push"]["paths"])
        assert triggers["pull_request"]["paths"] == paths[-1]
        assert paths[-1][:2] == [f"services/{name}/**", file]
        assert play(root, f"services-{name}-ci.yml") == ""
    assert names == {"CI of services/orders", "CI of services/billing"}


def test_outdated_copy_of_a_workflow_is_refused(root: Path) -> None:
    output = run_copier(
        "update",
        "--vcs-ref=:current:",
        "--data=database=postgresql",
        cwd=root / "services/orders",
    )
    [line] = re.findall(r"^cp .*$", output, re.MULTILINE)
    assert (
        play(root, "services-orders-ci.yml")
        == "Refuse an outdated copy of this workflow"
    )
    assert in_shell(root / "services/orders", line, {})
    own = root / "services/orders/.github/workflows/ci.yml"
    assert "postgres:" in own.read_text(encoding="utf-8")
    assert (
        own.read_bytes()
        == (root / ".github/workflows/services-orders-ci.yml").read_bytes()
    )


def test_gitlab_includes_the_jobs_of_both(committed: Path, root: Path) -> None:
    jobs: dict[str, Any] = {}
    for name in ("orders", "billing"):
        data = "--data=ci=gitlab"
        option = ["--answers-file", OWN] if name == "billing" else []
        run_copier("recopy", data, "--overwrite", *option, cwd=root / "services" / name)
        file = f"services/{name}/.gitlab-ci.yml"
        schema = ("--builtin-schema", "vendor.gitlab-ci")
        run(script("check-jsonschema"), *schema, file, cwd=root)
        included = yaml.safe_load((root / file).read_text(encoding="utf-8"))
        assert not included.keys() & jobs.keys()
        jobs |= included
    commit(root, "GitLab")
    for job in jobs.values():
        *script_lines, last = job["script"]
        assert ("--answers-file" in last) == ("billing" in script_lines[0])
        lines = "\n".join(script_lines)
        assert in_shell(root, lines, job["variables"])
        folder = script_lines[0].removeprefix("cd ")
        assert [rule["changes"][0] for rule in job["rules"]] == [f"{folder}/**/*"] * 2


def test_folder_is_asked_in_a_folder_of_a_repository_only(
    committed: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    git(alone, "init", "--quiet")
    for folder, expected in {
        "alone": None,
        "alone/apps/shop-api": "apps/shop-api",
        "alone/my apps/shop": None,  # which a shell and YAML would have to quote
        "none/shop": None,
    }.items():
        project = tmp_path / folder
        project.mkdir(parents=True, exist_ok=True)
        copy(committed, project)
        assert answers(project).get("project_folder") == expected
        workflow = (project / ".github/workflows/ci.yml").read_text(encoding="utf-8")
        assert ("working-directory" in workflow) == (expected is not None)
    for bad in ("../shop", "a b", "/shop", "shop/", "a: b", "*"):
        with pytest.raises(ValueError, match="write a path such as"):
            copier.run_copy(
                str(committed),
                tmp_path / "bad",
                data={"project_folder": bad},
                defaults=True,
                quiet=True,
            )


def test_update_keeps_the_folder_and_leaves_the_other_project_alone(root: Path) -> None:
    orders, billing = root / "services/orders", root / "services/billing"
    with (orders / "README.md").open("a", encoding="utf-8") as readme:
        readme.write("Ours.\n")
    commit(root, "Edit")
    before = history.contents(billing)
    data = "--data=features=[autogenerate, branches, testing, lint, diagram]"
    run_copier("update", "--vcs-ref=:current:", data, "services/orders", cwd=root)
    assert history.conflicts(root) == []
    assert list(root.rglob("*.rej")) == []
    assert answers(orders)["project_folder"] == "services/orders"
    assert (orders / "README.md").read_text(encoding="utf-8").endswith("Ours.\n")
    workflow = (orders / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert "working-directory: services/orders" in workflow
    assert "draw --check" in workflow
    assert history.contents(billing) == before

    data = "--data=project_folder="
    commit(root, "Diagram")
    run_copier("update", "--vcs-ref=:current:", data, "services/orders", cwd=root)
    workflow = (orders / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert "services" not in workflow
    assert history.conflicts(root) == []


def test_commands_work_in_any_folder(monorepo: Project, root: Path) -> None:
    orders = root / "services/orders"
    with (orders / "src/orders/models/hero.py").open("a", encoding="utf-8") as model:
        model.write(
            '\n\nclass Villain(Base):\n    __tablename__ = "villains"\n\n'
            "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        )
    for folder in (root, root / "services/billing", root / ".github"):
        project = at(root, folder)
        path = os.path.relpath(orders, folder)
        ini, kit = f"{path}/alembic.ini", f"{path}/migrations"
        project.alembic("-c", ini, "upgrade", "head")
        message = f"villains {folder.name}".lstrip()
        if folder == root:
            project.alembic("-c", ini, "revision", "--autogenerate", "-m", message)
            [written] = (orders / "migrations/versions").glob("*_villains_*.py")
            assert '"villains"' in written.read_text(encoding="utf-8")  # ruff's quotes
            head = (orders / "migrations/HEAD").read_text(encoding="utf-8").strip()
            assert head in written.name
            project.alembic("-c", ini, "upgrade", "head")
        project.alembic("-c", ini, "check")
        assert "1 new revision" in project.run("python", kit, "lint")
        assert "rebase" in project.run("python", kit, "--help")
    assert sorted(path.name for path in root.rglob("*.db")) == ["orders.db"]
    run(script("ruff"), "check", "--no-cache", cwd=root)
    run(script("ruff"), "format", "--no-cache", "--check", cwd=root)


def test_printed_commands_work_where_they_are_printed(root: Path) -> None:
    git(root, "mv", "services/billing", "services/our billing")
    commit(root, "Move")
    billing = root / "services/our billing"
    for folder in (billing, root):
        project = Project(folder, env={"PYTHONPATH": str(billing / "src")})
        ini = os.path.relpath(billing / "alembic.ini", folder)
        given = ("-c", ini, "-x", "protected=true", "upgrade", "head")
        line = last_line(project.alembic(*given, fails=True))
        [printed] = re.findall(r"Run `(uvx copier [^`]+)`", line)
        assert f"--answers-file {OWN}" in printed
        run_printed(printed, folder)
        assert answers(billing, OWN)["features"] == [*FEATURES, "lint"]
        git(root, "checkout", "--quiet", ".")
        git(root, "clean", "--quiet", "--force", "-d")


def test_each_command_of_a_file_names_the_answers_file(root: Path) -> None:
    """Those of the other project do not: it has the usual one."""
    commands = re.compile(r"uvx copier(?:@\S+)? (?:check-)?update[^\n`|]*")
    for name, expected in {"billing": True, "orders": False}.items():
        found = [
            one
            for path in (root / "services" / name).rglob("*")
            if path.is_file() and "migration_kit" not in path.parts
            for one in commands.findall(path.read_text(encoding="utf-8"))
        ]
        assert len(found) >= 3
        assert {f"--answers-file {OWN}" in one for one in found} == {expected}
    readme = (root / "services/billing/README.md").read_text(encoding="utf-8")
    assert f"`{OWN}`" in readme
    [printed] = re.findall(r"^uvx copier .*$", readme, re.MULTILINE)
    run_printed(printed, root / "services/billing")
    assert "lint" in answers(root / "services/billing", OWN)["features"]


def test_hooks_run_at_the_root(root: Path) -> None:
    file = "services/orders/.pre-commit-config.yaml"
    first = (root / file).read_text(encoding="utf-8").splitlines()[0]
    assert f"--config {file}" in first
    Project(root / "services/orders").add_revision("one", 'op.drop_table("heroes")')
    git(root, "add", "--all")
    env = UV_RUNS_HERE | {"PRE_COMMIT_HOME": str(root.parent / "cache")}
    env |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    output = run(
        script("pre-commit"), "run", "--config", file, cwd=root, env=env, fails=True
    )
    assert "lint new revisions" in output
    assert "versions/one.py" in output


def test_pytest_runs_each_project_and_refuses_both_in_one_process(
    monorepo: Project, root: Path
) -> None:
    for name in ("orders", "billing"):
        monorepo.own_tests(f"services/{name}")
    paths = [f"services/{name}/migrations" for name in ("orders", "billing")]
    (root / "pyproject.toml").write_text(f"[tool.pytest]\npythonpath = {paths}\n")
    output = monorepo.own_tests("--import-mode=importlib", fails=True)
    assert (
        "this process runs the migration_kit of another project than services/billing"
        in output
    )
    assert "Use a process for each project, such as `pytest services/billing`" in output
    both = (
        "from alembic import command\nfrom alembic.config import Config\n"
        "for name in ('orders', 'billing'):\n"
        "    command.upgrade(Config(f'services/{name}/alembic.ini'), 'head')\n"
    )
    output = monorepo.run("python", "-c", both, fails=True)
    assert "another project than services/billing" in output


def test_two_projects_share_a_database_with_a_version_table_each(
    root: Path, database: Database
) -> None:
    url = database("sqlite", "pysqlite")
    orders, billing = (
        Project(root / "services" / name, url) for name in ("orders", "billing")
    )
    (billing / "src/billing/models/hero.py").unlink()
    (billing / "migrations/HEAD").unlink()
    billing.revisions[0].unlink()
    billing.write(
        "src/billing/models/invoice.py",
        "from sqlalchemy.orm import Mapped, mapped_column\n\nfrom .base import Base\n\n\n"
        'class Invoice(Base):\n    __tablename__ = "invoices"\n\n'
        "    id: Mapped[int] = mapped_column(primary_key=True)\n",
    )
    orders.alembic("upgrade", "head")
    line = last_line(billing.alembic("upgrade", "head", fails=True))
    assert "if another project shares the database, set version_table" in line
    setting = "timezone = UTC\nversion_table = billing_version"
    billing.edit("alembic.ini", "timezone = UTC", setting)
    billing.alembic("revision", "--autogenerate", "-m", "invoices")
    text = billing.revision("invoices").read_text(encoding="utf-8")
    assert "heroes" not in re.sub("#.*", "", text)
    billing.alembic("upgrade", "head")
    for project in (orders, billing):
        project.alembic("check")
    orders.alembic("downgrade", "base")
    assert orders.tables() - {"billing_version"} == {"invoices"}


def test_another_template_and_this_one_update_in_turn(
    committed: Path, tmp_path: Path
) -> None:
    other, project = tmp_path / "other", tmp_path / "shop"
    for name, text in OTHER.items():
        path = other / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    git(other, "init", "--quiet")
    history.release(other, "v1")
    copy(other, project)
    git(project, "init", "--quiet")
    commit(project, "Theirs")
    given = {"base_location": "existing", "base_import": "shop.models:metadata"}
    copy(committed, project, OWN, **given, ci="github", features=FEATURES)
    commit(project, "Migrations")
    with (other / "pyproject.toml.jinja").open("a", encoding="utf-8") as text_file:
        text_file.write('requires-python = ">=3.11"\n')
    history.release(other, "v2")

    assert "latest version is 2" in run_copier("check-update", cwd=project)
    run_copier("update", cwd=project)
    changed = git(project, "diff", "--name-only").split()
    assert changed == [".copier-answers.yml", "pyproject.toml"]
    commit(project, "Their update")
    data = f"--data=features={[*FEATURES, 'lint']}"
    run_copier(
        "update", "--answers-file", OWN, "--vcs-ref=:current:", data, cwd=project
    )
    changed = git(project, "diff", "--name-only").split()
    assert changed == [
        ".copier-answers.migrations.yml",
        ".github/workflows/migrations.yml",
    ]
    assert answers(project, OWN)["features"] == [*FEATURES, "lint"]
    for file in (".copier-answers.yml", OWN):
        assert "up-to-date" in run_copier(
            "check-update", "--answers-file", file, cwd=project
        )
    commit(project, "Our update")
    migrations = Project(project, env={"PYTHONPATH": "src"})
    migrations.alembic("upgrade", "head")
    migrations.run("python", *shlex.split(command("lint")))
