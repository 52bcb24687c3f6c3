// Compiles Python modules with the Pyodide that will run them:
//
//     node bundle.mjs PACKAGES TEMPLATE ARCHIVE
//
// A browser would need seconds to compile them, and bytecode fits one version of Python. Of what
// Copier stands on only the modules that a render loads are packed.
import fs from "node:fs";
import { loadPyodide } from "pyodide";

const [packages, template, archive] = process.argv.slice(2);
const python = await loadPyodide();
python.mountNodeFS("/packages", packages);
python.mountNodeFS("/template", template);
python.runPython(`
import py_compile
import sys
import zipfile
from pathlib import Path

PACKAGES = Path("/packages")
# What is raised may load more of these.
WHOLE = ("copier", "jinja2", "starter", "yaml")

sys.path.insert(0, str(PACKAGES))
from starter import browser

browser.start("/template", "address", "commit")
for answers in ("{}", '{"base_location": "existing", "database": "postgresql"}', '{"package_name": 9}'):
    browser.archive(answers)
loaded = {Path(module.__file__) for module in sys.modules.values() if getattr(module, "__file__", None)}


def packed(path):
    top = path.relative_to(PACKAGES).parts[0]
    return path.is_file() and (path in loaded or top in WHOLE or path.name == "METADATA") and "__pycache__" not in path.parts


with zipfile.ZipFile("/archive.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for path in filter(packed, sorted(PACKAGES.rglob("*"))):
        name = path.relative_to(PACKAGES).as_posix()
        content = path
        if path.suffix == ".py":
            content = Path(py_compile.compile(
                str(path),
                cfile="/compiled",
                dfile=name,
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            ))
            name += "c"
        archive.writestr(zipfile.ZipInfo(name), content.read_bytes(), zipfile.ZIP_DEFLATED)
`);
fs.writeFileSync(archive, python.FS.readFile("/archive.zip"));
