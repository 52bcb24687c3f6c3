"""Keep the releases' templates: a checkout may come without tags, and updates start from them.

``python tests/support/releases.py`` archives the working tree as the newest release of CHANGELOG.md.
"""

from __future__ import annotations

import gzip
import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
ARCHIVES = ROOT / "tests" / "releases"

# What the template is made of: the conversation, its parts, and the project's files.
PARTS = ["copier.yml", "questions", "parts", "template"]

# The first release that anybody has a project of.
OLDEST = "2.4.0"


def versions() -> list[str]:
    """Return the released versions from the oldest that is kept on, as CHANGELOG.md names them."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (\d+\.\d+\.\d+) ", changelog, re.MULTILINE)[::-1]
    return found[found.index(OLDEST) :]


def archived() -> list[str]:
    """Return the versions that projects are updated from: the next one has its heading first."""
    return [version for version in versions() if archive(version).exists()]


def archive(version: str) -> Path:
    """Return the path of a release's archive."""
    return ARCHIVES / f"{version}.tar.gz"


def template_files() -> list[str]:
    """Return the template's files as git knows them, or would: without caches of tools."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    output = subprocess.run(
        [*command, *PARTS],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout.decode()
    return [name for name in output.split("\0") if name and (ROOT / name).exists()]


def copy_template(folder: Path) -> Path:
    """Copy the template of the working tree into a folder, and return it."""
    for name in template_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def pack(version: str) -> Path:
    """Archive the template of the working tree; the same files give the same bytes.

    Args:
        version: the release, without the `v` of its tag.

    Returns:
        The archive's path.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in sorted(template_files()):
            member = tarfile.TarInfo(name)
            member.size = (ROOT / name).stat().st_size
            member.mode = 0o644
            with (ROOT / name).open("rb") as file:
                tar.addfile(member, file)
    ARCHIVES.mkdir(exist_ok=True)
    with archive(version).open("wb") as file:
        file.write(gzip.compress(buffer.getvalue(), mtime=0))
    return archive(version)


def unpack(version: str, folder: Path) -> None:
    """Write a release's template into a folder.

    Args:
        version: the release, without the `v` of its tag.
        folder: an empty folder.

    Raises:
        FileNotFoundError: if the release was never archived.
    """
    with tarfile.open(archive(version)) as tar:
        tar.extractall(folder, filter="data")


if __name__ == "__main__":
    print(pack(versions()[-1]).relative_to(ROOT))
