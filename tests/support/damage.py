"""What people forget, done to a project on purpose."""

from __future__ import annotations

from support.projects import Project


def two_heads(project: Project) -> None:
    """Add two revisions beside each other, as two branches do."""
    for revision in ("one", "two"):
        project.add_revision(revision, "pass", '"""Nothing was done."""')
    project.kit("head")


def change_model(project: Project) -> None:
    """Give a model a column that no revision adds."""
    model = "src/my_app/models/hero.py"
    project.write(model, project.read(model) + "    power: Mapped[int]\n")


def empty_downgrade(project: Project) -> None:
    """Add a revision without a way back."""
    project.add_revision("one", "pass", "pass")
