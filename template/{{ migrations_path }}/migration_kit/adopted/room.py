"""An existing project: its history and the settings of its old env.py are not lost."""

import re
from typing import Any

from ..rooms import Room


class Adopted(Room):
    """Refuses to start again if a history has begun already."""

    def check_history(self, script: Any) -> None:
        from .history import refuse_lost_revisions

        refuse_lost_revisions()

    def refuse(self, connection: Any) -> None:
        from .history import refuse_lost_history

        refuse_lost_history(connection)

    def remedy(self, script: Any, message: str) -> str:
        from ..errors import MISSING
        from .history import folders_of_revisions, version_locations_remedy

        missing = re.match(MISSING, message)
        folders = folders_of_revisions(missing[1]) if missing else []
        if folders:
            return f"it is in {folders[0]}. {version_locations_remedy(folders[0])}"
        return ""


room = Adopted()
