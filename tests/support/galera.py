"""A Galera cluster of three MariaDB nodes on the loopback."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import URL

from support.databases import execute, query
from support.servers import USER, folder, free_port, program, start, stop

SETTINGS = {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": "on",
    "character-set-server": "utf8mb4",
    "innodb-buffer-pool-size": "16M",
    "innodb-log-file-size": "4M",
    "innodb-flush-log-at-trx-commit": 0,
    "innodb-autoinc-lock-mode": 2,
    "binlog-format": "ROW",
    "wsrep-on": "ON",
    "wsrep-cluster-name": "tests",
    "wsrep-sst-method": "same",
}

# A node joins in a second, and not in five.
PROVIDER_OPTIONS = {
    "gcache.size": "8M",
    "pc.announce_timeout": "PT0.1S",
    "evs.join_retrans_period": "PT0.1S",
}

# Copies the files of a node for the one that joins; with rsync, which Galera brings, it would take
# seven seconds each.
STATE_TRANSFER = """\
#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in --role) role=$2 ;; --gtid) position=$2 ;; --datadir) data=$2 ;; esac
    shift
done
if [ "$role" = joiner ]; then
    echo "$data" > "$0.joiner"
    echo "ready 127.0.0.1"
    until [ -e "$0.position" ]; do sleep 0.02; done
    cat "$0.position" && rm "$0.position"
else
    echo "flush tables"
    until [ -e "$data/tables_flushed" ]; do sleep 0.02; done
    cd "$data" && cp -r ib* undo* aria* mysql* sys "$(cat "$0.joiner")"
    echo "$position" > "$0.new" && mv "$0.new" "$0.position"
    echo "done $position"
fi
"""

SYNCED = "SHOW STATUS WHERE variable_name = 'wsrep_local_state_comment'"


class Galera:
    """Three nodes, each with all databases.

    Attributes:
        urls: of each, without a database.
    """

    def __init__(self, folder: Path) -> None:
        """Make a node's empty data; `folder` is that of all nodes."""
        self.urls: list[URL] = []
        self._folder = folder
        self._ports: list[int] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start one node after the other."""
        install = [
            *(program("mariadb-install-db"), "--no-defaults", "--skip-test-db"),
            "--auth-root-authentication-method=normal",
            "--innodb-log-file-size=4M",
        ]
        first = self._folder / "0"
        subprocess.run(
            [*install, f"--datadir={first}"],
            cwd="/",
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            **USER,
        )
        for number in (1, 2):
            (data := self._folder / str(number)).mkdir()
            if USER:
                shutil.chown(data, USER["user"], USER["group"])
        script = self._folder / "wsrep_sst_same"
        script.write_text(STATE_TRANSFER)
        script.chmod(0o755)
        for number in range(3):
            self._start(number)

    def catch_up(self) -> None:
        """Wait until each node has what the first one has."""
        name = f"caught_up_{uuid4().hex[:12]}"
        execute(self.urls[0], f"CREATE DATABASE {name}")
        for url in self.urls:
            while not query(url, f"SHOW DATABASES LIKE '{name}'"):
                time.sleep(0.01)
        execute(self.urls[0], f"DROP DATABASE {name}")

    def kill(self, number: int) -> None:
        """Kill a node, as `kill -9` does."""
        stop(self._processes[number], signal.SIGKILL)

    def close(self) -> None:
        """Kill all nodes."""
        for number in range(len(self._processes)):
            self.kill(number)

    def _start(self, number: int) -> None:
        port, base, transfer, state = (free_port() for _ in range(4))
        # The first one makes the cluster, the others join it.
        others = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        self._ports.append(base)
        options = PROVIDER_OPTIONS | {
            "base_host": "127.0.0.1",
            "base_port": base,
            "gmcast.listen_addr": f"tcp://127.0.0.1:{base}",
            "ist.recv_addr": f"127.0.0.1:{transfer}",
        }
        settings = SETTINGS | {
            "datadir": self._folder / str(number),
            "port": port,
            "socket": self._folder / f"{number}.sock",
            "pid-file": self._folder / f"{number}.pid",
            "log-error": self._folder / f"{number}.log",
            "wsrep-provider": program("libgalera_smm.so"),
            "wsrep-provider-options": ";".join(f"{k}={v}" for k, v in options.items()),
            "wsrep-cluster-address": f"gcomm://{others}",
            "wsrep-node-name": f"node{number}",
            "wsrep-node-address": f"127.0.0.1:{base}",
            "wsrep-sst-receive-address": f"127.0.0.1:{state}",
        }
        url = URL.create("mariadb+pymysql", "root", None, "127.0.0.1", port)
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        process = start(
            *(program("mariadbd"), "--no-defaults", *arguments),
            url=url,
            PATH=f"{self._folder}:/usr/bin:/bin",
        )
        self._processes.append(process)
        while query(url, SYNCED)[0][1] != "Synced":
            time.sleep(0.02)
        self.urls.append(url)


@contextmanager
def galera() -> Iterator[Galera]:
    """Start three nodes, and kill them at the end."""
    with folder() as temporary:
        nodes = Galera(temporary)
        try:
            nodes.start()
            yield nodes
        finally:
            nodes.close()
