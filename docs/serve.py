"""Serve the site with its policies: `python docs/serve.py`, after docs/build.py."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SITE = Path(__file__).parent / "_build" / "site"

# Nothing comes from elsewhere and nothing goes there; Pyodide needs WebAssembly, and no eval.
STARTER = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self';"
    " connect-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
# The theme of the pages has scripts and styles in its HTML.
PAGES = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; base-uri 'self'; frame-ancestors 'none'"
)


class Handler(SimpleHTTPRequestHandler):
    """A file server that sends the policy of each page."""

    def log_message(self, *_: object) -> None:
        """Be silent."""

    def end_headers(self) -> None:
        """Add the policy, and forbid to guess what a file is."""
        policy = STARTER if self.path.startswith("/start/") else PAGES
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        super().end_headers()


def server(site: Path, port: int) -> ThreadingHTTPServer:
    """Return a server on loopback; port 0 is any that is free."""
    handler = partial(Handler, directory=str(site))
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def main() -> None:
    """Serve until it is stopped."""
    parser = argparse.ArgumentParser(description="Serve the site.")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    if not SITE.is_dir():
        sys.exit(f"{SITE} is missing: build it with `python docs/build.py`")
    port = options.port
    try:
        with server(SITE, port) as http:
            print(f"http://127.0.0.1:{http.server_port}/")
            http.serve_forever()
    except OSError as error:
        other = f"python docs/serve.py --port {port % 65535 + 1}"
        sys.exit(f"can't listen on port {port}: {error.strerror}. Run `{other}`")
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
