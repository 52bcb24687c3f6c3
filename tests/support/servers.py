"""Servers that tests start for themselves, on free ports: a pooler, a primary with its standby."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, text
from sqlalchemy.exc import OperationalError

from support.databases import SERVERS, connect, execute, query

# What the tests start, by the package of Debian that has it.
PROGRAMS = {
    "chromium": ["chromium"],
    "pgbouncer": ["pgbouncer"],
    "postgresql": ["initdb", "pg_basebackup", "postgres"],
    "galera-4": ["libgalera_smm.so"],
    "mariadb-server-core": ["mariadb-install-db", "mariadbd"],
}

# PostgreSQL and PgBouncer refuse to run as root.
USER: dict[str, Any] = {}
if hasattr(os, "geteuid") and os.geteuid() == 0:
    USER = {"user": "nobody", "group": "nogroup", "extra_groups": []}

# Seconds that a server may take to answer.
PATIENCE = 30


@cache
def program(name: str) -> str:
    """Return the path of a program or plugin, or nothing; Debian keeps some off the PATH."""
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*"), key=lambda path: float(path.name)
    )
    folders = [str(version / "bin") for version in reversed(versions)]
    folders += [os.environ.get("PATH", os.defpath), "/usr/sbin"]
    folders += ["/usr/lib/galera", "/usr/lib64/galera-4"]
    path = os.pathsep.join(folders)
    return shutil.which(name, mode=os.F_OK, path=path) or ""


def missing_package(package: str) -> str:
    """Say in one line why tests cannot start what a package has.

    Args:
        package: a key of `PROGRAMS`.

    Returns:
        An empty string where everything is there.
    """
    names = [name for name in PROGRAMS[package] if not program(name)]
    if not names:
        return ""
    return (
        f"{' and '.join(names)} cannot be found, tests that start it are skipped; "
        f"on Debian: apt-get install {package}"
    )


@contextmanager
def folder() -> Iterator[Path]:
    """Make a temporary folder of the user that the servers run as."""
    with tempfile.TemporaryDirectory() as name:
        if USER:
            shutil.chown(name, USER["user"], USER["group"])
        yield Path(name)


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def start(*command: str | Path, url: URL, **env: str) -> subprocess.Popen[bytes]:
    """Start a server and wait until it answers.

    Args:
        command: the program and its arguments.
        url: a database that it serves then.
        env: variables that it gets, or others than ours.
    """
    process = subprocess.Popen(
        command,
        cwd="/",
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **USER,
    )
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with connect(url):
                return process
        except OperationalError:
            time.sleep(0.02)
    process.kill()
    process.wait()
    raise AssertionError(f"{command[0]} does not answer")


def stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Stop a server and wait for its end."""
    if process.poll() is None:
        process.send_signal(how)
        process.wait(PATIENCE)


@contextmanager
def pgbouncer(pool_mode: str, pool_size: int = 12) -> Iterator[URL]:
    """Start PgBouncer before the PostgreSQL server of the tests.

    Args:
        pool_mode: `session` or `transaction`.
        pool_size: sessions for each database.

    Yields:
        The URL of the server's database `postgres` through it.
    """
    server, port = SERVERS["postgresql"], free_port()
    parts = {"host": server.host, "port": server.port or 5432, "user": server.username}
    if server.password:
        parts["password"] = str(server.password)
    with folder() as temporary:
        settings = temporary / "pgbouncer.ini"
        settings.write_text(
            "[databases]\n"
            f"* = {' '.join(f'{name}={value}' for name, value in parts.items())}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = any\npool_mode = {pool_mode}\ndefault_pool_size = {pool_size}\n"
        )
        url = server.set(host="127.0.0.1", port=port)
        process = start(program("pgbouncer"), "-q", settings, url=url)
        try:
            yield url
        finally:
            stop(process, signal.SIGTERM)


@contextmanager
def traffic(url: URL, clients: int = 2) -> Iterator[None]:
    """Let clients run short transactions on a database meanwhile."""
    stopped = threading.Event()

    def work() -> None:
        with connect(url, prepare_threshold=None) as connection:
            while not stopped.is_set():
                connection.execute(text("SELECT pg_sleep(0.002)"))
                connection.commit()

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


class Replicated:
    """A primary and its hot standby; the standby takes over when the primary fails."""

    def __init__(self, temporary: Path, settings: dict[str, str]) -> None:
        """Make the primary; `temporary` is the folder of both."""
        self._folder = temporary
        self._settings = settings
        self._servers: list[tuple[URL, subprocess.Popen[bytes]]] = []
        self._standby: URL | None = None
        data = temporary / "primary"
        self._run("initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-D", data)
        self._start(data)

    @property
    def primary(self) -> URL:
        """The primary's database `postgres`."""
        return self._servers[-1 if self._standby is None else -2][0]

    @property
    def standby(self) -> URL:
        """The same database on the standby, which is made when it is first asked for."""
        if self._standby is None:
            data, primary = self._folder / f"{len(self._servers)}", self.primary
            source = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres")
            self._run(
                *("pg_basebackup", "--no-sync", "--checkpoint", "fast"),
                *("--write-recovery-conf", *source, "-D", data),
            )
            self._standby = self._start(data)
        return self._standby

    def catch_up(self) -> None:
        """Wait until the standby has what the primary has."""
        # An upgrade that still runs does not wait for the disk, but this commit does.
        execute(self.primary, "SELECT pg_logical_emit_message(true, '', '')")
        [(position,)] = query(self.primary, "SELECT pg_current_wal_lsn()::text")
        behind = f"SELECT pg_last_wal_replay_lsn() < '{position}'"
        while query(self.standby, behind) == [(True,)]:
            time.sleep(0.01)

    def fail_over(self) -> None:
        """Stop the primary at once, and let the standby take over."""
        standby = self.standby
        stop(self._servers[-2][1], signal.SIGQUIT)
        execute(standby, "SELECT pg_promote()")
        self._standby = None

    def crash(self) -> None:
        """Stop the primary at once, and start it again on another port."""
        stop(self._servers.pop()[1], signal.SIGQUIT)
        self._start(self._folder / "primary")

    def close(self) -> None:
        """Stop all servers."""
        for _, process in reversed(self._servers):
            stop(process, signal.SIGQUIT)

    def _run(self, name: str, *arguments: str | Path) -> None:
        subprocess.run(
            [program(name), *arguments],
            cwd="/",
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            **USER,
        )

    def _start(self, data: Path) -> URL:
        port = free_port()
        url = URL.create(
            "postgresql+psycopg", "postgres", None, "127.0.0.1", port, "postgres"
        )
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": 30,
            "shared_buffers": "16MB",
        } | self._settings
        options = [f"--{name}={value}" for name, value in settings.items()]
        process = start(program("postgres"), "-D", data, *options, url=url)
        self._servers.append((url, process))
        return url


@contextmanager
def replicated(**settings: str) -> Iterator[Replicated]:
    """Make a primary and its hot standby, and stop them at the end."""
    with folder() as temporary:
        servers = Replicated(temporary, settings)
        try:
            yield servers
        finally:
            servers.close()
