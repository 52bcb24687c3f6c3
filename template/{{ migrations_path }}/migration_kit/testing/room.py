"""Testing: databases for tests that the migrations made, and checks of every revision."""

from typing import Any

from ..rooms import Room


class Testing(Room):
    """Lets `prepare` of env.py prepare each new database of the tests, once, and no other."""

    def before(self, connection: Any, options: dict[str, Any]) -> None:
        from alembic import context

        scratch = context.config.attributes.get("scratch")
        if options["prepare"] and scratch and scratch.is_new:
            from ..errors import one_line

            with one_line("prepare() of env.py failed"):
                options["prepare"](connection)
                connection.commit()
            scratch.is_new = False


room = Testing()
