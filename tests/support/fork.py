"""Run Python's commands without paying for their imports each time.

A server imports Alembic, SQLAlchemy, the drivers and pytest once and then forks a process for
every command, which does what the console script or the interpreter does. `test_support.py`
shows that the two do the same.
"""

from __future__ import annotations

import atexit
import builtins
import codecs
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import types
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

# alembic_postgresql_enum is not among them: its import changes what autogenerate does. Neither
# are the plugins of pytest, which rewrites their assertions when it imports them.
PRELOADED = [
    "alembic.autogenerate",
    "alembic.command",
    "alembic.config",
    "alembic.ext.checkconstraint_byname",
    "alembic.script",
    "aiomysql",
    "aiosqlite",
    "asyncmy",
    "asyncpg",
    "logging.config",
    "mako.template",
    "psycopg",
    "pymysql",
    "pytest",
    "sqlalchemy.dialects.mysql",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.ext.asyncio",
    "sqlalchemy.orm",
    "zoneinfo",
]

CONSOLE_SCRIPTS = {
    "alembic": ("alembic.config", "main"),
    "pytest": ("_pytest.config", "_console_main"),
}

# The interpreter's own, until its end.
NEEDED = {"__main__", "builtins", "sys"}

# What Alembic starts to write HEAD, behind a new revision.
HOOK = [sys.executable, "-m", "migration_kit"]

# From where the server imports.
PATH = [*sys.path]

# Longer than any command of a test may take, in seconds.
PATIENCE = 300


class Process:
    """A command in a process of its own; what it prints is kept."""

    def __init__(self, control: socket.socket, output: int) -> None:
        """Take the ends of the two wires: to the process that waits for it, and its output."""
        self.printed = ""
        self.returncode: int | None = None
        self._control = control
        self._output = output
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self.pid = receive(control)

    def poll(self) -> int | None:
        """Return the exit code, or nothing while the command runs."""
        if self.returncode is None and select.select([self._control], [], [], 0)[0]:
            self.returncode = receive(self._control)
        return self.returncode

    def kill(self) -> None:
        """Kill it, as `kill -9` does."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait_for(self, part: str) -> None:
        """Wait until the command has printed a text.

        Raises:
            AssertionError: if it ends without it.
        """
        for _ in self._read(PATIENCE):
            if part in self.printed:
                return
        raise AssertionError(self.printed)

    def finish(self, timeout: float = PATIENCE) -> str:
        """Wait for the end and return all that was printed.

        Raises:
            TimeoutError: if that takes too long.
        """
        for _ in self._read(timeout):
            pass
        if self.returncode is None:
            self.returncode = receive(self._control)
        self._control.close()
        os.close(self._output)
        return self.printed

    def _read(self, timeout: float) -> Iterator[None]:
        deadline = time.monotonic() + timeout
        while True:
            yield
            seconds = max(deadline - time.monotonic(), 0)
            if not select.select([self._output], [], [], seconds)[0]:
                raise TimeoutError(self.printed)
            if not (part := os.read(self._output, 2**16)):
                return
            self.printed += self._decode(part)


def send(control: socket.socket, number: int) -> None:
    """Send a process's number or exit code."""
    control.sendall(number.to_bytes(4, signed=True))


def receive(control: socket.socket) -> int:
    """Receive what `send` sent."""
    return int.from_bytes(control.recv(4, socket.MSG_WAITALL), signed=True)


@cache
def server() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start the server of this process, and return the wire to it; it ends with us."""
    ours, its = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-P", __file__, str(its.fileno())],
        # Whether Python writes at once is decided when the server starts.
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[its.fileno()],
    )
    its.close()
    atexit.register(process.wait)
    atexit.register(ours.close)  # which is what it ends by, and the last comes first
    return ours, process


def start(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Process:
    """Start a command.

    Args:
        command: a console script with its arguments, or `python` with `-c`, `-m` or a path.
        cwd: where it runs.
        env: all its variables; each folder of `PYTHONPATH` can be imported from.

    Returns:
        The process, whose standard output and standard error are one.
    """
    output, write = os.pipe()
    control, its = socket.socketpair()
    wire, _ = server()
    socket.send_fds(wire, [b"."], [its.fileno(), write])
    os.close(write)
    its.close()
    request = {"command": list(command), "cwd": str(cwd), "env": dict(env)}
    control.sendall(json.dumps(request).encode() + b"\n")
    return Process(control, output)


def serve(requests: socket.socket) -> None:
    """Fork for each request a process that forks the command and waits for it."""
    from _pytest.config import default_plugins

    preloaded: dict[str, types.ModuleType] = {}
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(preloaded))
    atexit.register(forget, preloaded)  # the first one, which comes last
    plugins = [f"_pytest.{name}" for name in default_plugins]
    for name in PRELOADED + plugins:
        importlib.import_module(name)
    # A process shares the pages of these modules as long as it writes nothing to them: it
    # neither looks for garbage there nor takes the modules down at its end.
    gc.freeze()
    preloaded |= {name: sys.modules[name] for name in sys.modules.keys() - NEEDED}
    keepers: list[int] = []
    while True:
        message, wires, _, _ = socket.recv_fds(requests, 1, 2)
        keepers = [pid for pid in keepers if os.waitpid(pid, os.WNOHANG) == (0, 0)]
        if not message:
            return
        keepers.append(os.fork())
        if keepers[-1] == 0:
            requests.close()
            keep(socket.socket(fileno=wires[0]), wires[1])
        for wire in wires:
            os.close(wire)


def forget(modules: dict[str, types.ModuleType]) -> None:
    """Take modules from the interpreter's list, by which it takes them down."""
    for name, module in modules.items():
        if sys.modules.get(name) is module:
            del sys.modules[name]


def keep(control: socket.socket, output: int) -> None:
    """Fork the command, and say how it ends."""
    with control.makefile() as lines:
        request = json.loads(lines.readline())
    command = os.fork()
    if command == 0:
        control.close()
        become(output=output, **request)
    os.close(output)
    send(control, command)
    _, status = os.waitpid(command, 0)
    send(control, os.waitstatus_to_exitcode(status))
    os._exit(0)


def become(command: list[str], cwd: str, env: dict[str, str], output: int) -> NoReturn:
    """Do what the interpreter does when it starts, and run the command."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(env)
    # A test changes a model twice in a second, which Python sees by the time in seconds.
    sys.dont_write_bytecode = True
    time.tzset()
    go_to(cwd)
    sys.excepthook = print_traceback
    if any("revision" in word for word in (*command, env.get("COMMANDS", ""))):
        keep_for_hooks()
    status: Any = 0
    try:
        run(*command)
    except SystemExit as error:
        status = error.code
    except Exception:  # noqa: BLE001 - the interpreter prints any
        sys.excepthook(*sys.exc_info())
        status = 1
    end(status)


def end(status: Any) -> NoReturn:
    """Do what the interpreter does at its end; to free all memory takes longer than to start."""
    if not isinstance(status, int | None):
        print(status, file=sys.stderr)
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for name in sys.modules.keys() - {"builtins", "sys"}:
        del sys.modules[name]
    gc.collect()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit((status or 0) & 0xFF)


def go_to(folder: str) -> None:
    """Change the folder, and import from where an interpreter that starts there does."""
    os.chdir(folder)
    sys.path[:] = [
        *map(
            os.path.abspath, filter(None, os.getenv("PYTHONPATH", "").split(os.pathsep))
        ),
        *PATH,
    ]


def keep_for_hooks() -> None:
    """Let the hooks that write HEAD run in forks which know nothing of the project yet."""
    wire, its = socket.socketpair()
    if os.fork() == 0:
        wire.close()
        with its.makefile() as requests:
            for request in requests:
                if (hook := os.fork()) == 0:
                    become_hook(*json.loads(request))
                os.waitpid(hook, 0)
                its.sendall(b".")
        os._exit(0)
    its.close()

    def run_hook(command: list[str], cwd: str | None = None, **options: Any) -> None:
        if command[:3] != HOOK or not cwd or options:
            subprocess.run(command, cwd=cwd, check=False, **options)
            return
        sys.stdout.flush()
        wire.sendall(json.dumps([cwd, *command[1:]]).encode() + b"\n")
        wire.recv(1)

    hooks = {"run": run_hook, "DEVNULL": subprocess.DEVNULL}
    write_hooks = sys.modules["alembic.script.write_hooks"]
    vars(write_hooks)["subprocess"] = types.SimpleNamespace(**hooks)


def become_hook(folder: str, *arguments: str) -> NoReturn:
    """Run a hook."""
    try:
        go_to(folder)
        run("python", *arguments)
    finally:
        kind, error, frame = sys.exc_info()
        if isinstance(error, SystemExit):
            if isinstance(error.code, str):
                print(error.code, file=sys.stderr)
        elif kind and error:
            print_traceback(kind, error, frame)
        sys.stdout.flush()
        os._exit(0)


def print_traceback(
    kind: type[BaseException], error: BaseException, frame: types.TracebackType | None
) -> None:
    """Print what Python prints, without the frames of this file, which come first."""
    ours = {__file__, runpy.__file__, "<frozen runpy>"}
    while frame and frame.tb_frame.f_code.co_filename in ours:
        frame = frame.tb_next
    traceback.print_exception(kind, error, frame)


def run(program: str, *arguments: str) -> None:
    """Run a console script, a string of code, a module or a file in this process."""
    if program != "python":
        module, function = CONSOLE_SCRIPTS[program]
        sys.argv = [program, *arguments]
        sys.exit(getattr(importlib.import_module(module), function)())
    kind, *rest = sys.argv = list(arguments)
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    if kind == "-m":
        sys.argv = ["-m", *rest[1:]]
        sys.path.insert(0, os.getcwd())
        runpy._run_module_as_main(rest[0])  # type: ignore[attr-defined]
    elif os.path.isdir(kind):
        sys.path.insert(0, os.path.abspath(kind))
        runpy._run_module_as_main("__main__", alter_argv=False)  # type: ignore[attr-defined]
    else:
        code, name, folder = rest[0] if kind == "-c" else "", "<string>", ""
        if kind == "-c":
            sys.argv = ["-c", *rest[1:]]
        else:
            name = main.__file__ = os.path.abspath(kind)
            folder = os.path.dirname(name)
            code = Path(name).read_text(encoding="utf-8")
        sys.path.insert(0, folder)
        types.FunctionType(compile(code, name, "exec"), main.__dict__)()


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
