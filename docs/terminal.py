"""Draw docs/terminal.svg, the picture of the front page, from a session that is really run.

``uv run python docs/terminal.py`` renders a project into a folder for temporary files, runs the
commands of `SESSION` there in a shell, and draws what they print. Commands are those of this
repository's environment, so the picture needs no `uv run`. Left out are the folder's path, and the
lines in which Alembic tells its dialect and its hooks.
"""

from __future__ import annotations

import os
import re
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

from _ext.sessions import Block, Player, Session
from support import releases

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

SESSION = [
    "copier copy --quiet --defaults ./copier-alembic my-app && cd my-app && ls -m migrations",
    "# three processes at once, on an empty database",
    "for n in 1 2 3; do alembic upgrade head && echo process $n is done & done; wait",
    f"cat > src/my_app/models/cape.py <<END\n{CAPE}END",
    'alembic revision --autogenerate -m "add capes"',
    "alembic upgrade head && alembic check",
    "pytest --quiet --no-header",
    "# every error is one line: what went wrong, how to fix it, and no password",
    "DATABASE_URL=postgresql+psycopg://ada:secret@localhost:1/app alembic upgrade head",
]


def run_session(folder: Path) -> list[tuple[str, str]]:
    """Run the commands one after another in one shell, beside a copy of the template.

    Args:
        folder: an empty one.

    Returns:
        Each command with what it printed.
    """
    home = folder / "home"
    template = home / "copier-alembic"
    template.mkdir(parents=True)
    releases.copy_template(template)
    # The last one shows an error.
    blocks = [
        Block("run", "SESSION", tuple(SESSION[:-1])),
        Block("run", "SESSION", tuple(SESSION[-1:]), fails=True),
    ]
    return [*chain(*Player(Session(blocks=blocks), home, template).play())]


def draw(session: list[tuple[str, str]]) -> str:
    """Return the session as an SVG that loads nothing from elsewhere."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere)
        for command, output in session:
            style = "dim" if command.startswith("#") else "bold"
            console.print(Text.assemble(("$ ", "green"), (command, style)))
            if output:
                console.print(Text.from_ansi(output), soft_wrap=False)
        svg = console.export_svg(title=TITLE, unique_id="terminal")
    return re.sub(r"\s*@font-face \{.*?\}\n", "\n", svg, flags=re.DOTALL)


def main() -> None:
    """Run the session and draw it."""
    with TemporaryDirectory() as name:
        session = run_session(Path(name).resolve())
    PICTURE.write_text(draw(session) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
