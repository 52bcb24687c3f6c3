"""Draw docs/terminal.svg, the picture of the front page, from a session that is really run.

``uv run python docs/terminal.py`` renders a project into a folder for temporary files, runs the
commands of `SESSION` there in a shell, and draws what they print. Commands are those of this
repository's environment, so the picture needs no `uv run`. Left out are the folder's path, and the
lines in which Alembic tells its dialect and its hooks.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
PICTURE = Path(__file__).with_suffix(".svg")
TITLE = "my-app"
WIDTH = 104

CAPE = """\
from sqlalchemy.orm import Mapped, mapped_column
from my_app.models.base import Base

class Cape(Base):
    __tablename__ = "capes"
    id: Mapped[int] = mapped_column(primary_key=True)
    color: Mapped[str | None]
"""

LEFT_OUT = re.compile(
    r"^INFO .*(Context impl|Will assume).*\n|^Running post write hook.*\n  done\n",
    re.MULTILINE,
)

SESSION = [
    "copier copy --quiet --defaults ./copier-alembic my-app && cd my-app && ls -m migrations",
    "# three processes at once, on an empty database",
    "for n in 1 2 3; do alembic upgrade head && echo process $n is done & done; wait",
    f"cat > src/my_app/models/cape.py <<END\n{CAPE}END",
    'alembic revision --autogenerate -m "add capes"',
    "alembic upgrade head && alembic check",
    "pytest --quiet --no-header",
    "# every error is one line with what helps, and shows no password",
    "DATABASE_URL=postgresql+psycopg://ada:secret@localhost:1/app alembic upgrade head",
]


def run_session(folder: Path) -> list[tuple[str, str]]:
    """Run the commands one after another in one shell.

    Args:
        folder: where it starts; it holds the template.

    Returns:
        Each command with what it printed.
    """
    environment = {
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]),
        # A project has neither what is installed here besides, nor asyncio's plugin on SQLite.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "true",
        "PYTHONPATH": "src",
    }
    printed, state = [], "true"
    for command in SESSION:
        # The next command starts in the folder that this one leaves.
        script = f"{state}; {command}\nprintf '\\0%s' \"$PWD\""
        output = subprocess.run(
            ["bash", "-c", script],
            cwd=folder,
            env=environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ).stdout
        output, _, here = output.rpartition("\0")
        state = f"cd '{here}'"
        output = LEFT_OUT.sub("", output.replace(str(folder), "~"))
        printed.append((command, output.rstrip()))
    return printed


def draw(session: list[tuple[str, str]]) -> str:
    """Return the session as an SVG that loads nothing from elsewhere."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere)
        for command, output in session:
            style = "dim" if command.startswith("#") else "bold"
            console.print(Text.assemble(("$ ", "green"), (command, style)))
            if output:
                console.print(Text(output), soft_wrap=False)
        svg = console.export_svg(title=TITLE, unique_id="terminal")
    return re.sub(r"\s*@font-face \{.*?\}\n", "\n", svg, flags=re.DOTALL)


def main() -> None:
    """Run the session and draw it."""
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        template = folder / "copier-alembic"
        template.mkdir()
        shutil.copy(ROOT / "copier.yml", template)
        for part in ("questions", "template"):
            shutil.copytree(ROOT / part, template / part)
        PICTURE.write_text(draw(run_session(folder)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
