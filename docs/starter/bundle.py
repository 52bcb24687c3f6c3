"""Packs compiled modules, in Pyodide; `bundle.mjs` runs it."""

from __future__ import annotations

import py_compile
import sys
from importlib import import_module
from pathlib import Path, PurePosixPath
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

PACKAGES = Path("/packages")
# An error may load more of these.
WHOLE = {"copier", "jinja2", "starter", "yaml"}

# Not needed in a browser, unless a render loads it: terminals, tools, processes, mail, encodings.
LEFT_OUT = (
    "_pyrepl bdb.py doctest.py optparse.py pdb.py pickletools.py profile.py pstats.py"
    " pydoc.py trace.py unittest ctypes multiprocessing sqlite3 wsgiref xmlrpc"
    " ftplib.py imaplib.py mailbox.py poplib.py smtplib.py encodings"
)


def main() -> None:
    """Render a few projects, and pack the modules that this loads."""
    sys.path.insert(0, str(PACKAGES))
    from starter import browser

    browser.start("/template", "address", "commit", "hash")
    for answers in (
        "{}",
        '{"base_location": "existing", "database": "postgresql"}',
        '{"package_name": "9", "tenants": "schema"}',
        '{"features": ["squash"], "kit": "installed"}',
    ):
        browser.render(answers)
    browser.archive("{}")
    import_module("tarfile")  # for the template
    loaded = {getattr(module, "__file__", None) for module in sys.modules.values()}

    [standard] = [path for path in sys.path if path.endswith(".zip")]
    with ZipFile(standard) as old, ZipFile("/library.zip", "w") as new:
        for name in old.namelist():
            compiled = f"{standard}/{name}" in loaded
            if compiled or name.split("/")[0] not in LEFT_OUT.split():
                pack(new, name, old.read(name), compiled)
    with ZipFile("/archive.zip", "w") as new:
        for path in sorted(PACKAGES.rglob("*")):
            name = path.relative_to(PACKAGES).as_posix()
            whole = name.split("/")[0] in WHOLE and "__pycache__" not in name
            if path.is_file() and (
                str(path) in loaded or whole or path.name == "METADATA"
            ):
                pack(new, name, path.read_bytes(), True)


def pack(archive: ZipFile, name: str, content: bytes, compiled: bool) -> None:
    """Add a file to an archive; a Python module as bytecode if `compiled`."""
    if compiled and PurePosixPath(name).suffix == ".py":
        Path("/source").write_bytes(content)
        py_compile.compile(
            "/source",
            cfile="/compiled",
            dfile=name,
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        name, content = f"{name}c", Path("/compiled").read_bytes()
    # The same files give the same archive.
    archive.writestr(ZipInfo(name), content, ZIP_DEFLATED, compresslevel=9)


main()
