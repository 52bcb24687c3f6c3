// Compiles Python modules with the Pyodide that will run them:
//
//     node bundle.mjs PACKAGES TEMPLATE STANDARD_LIBRARY ARCHIVE
//
// A browser would need seconds to compile them, and bytecode fits one version of Python. ARCHIVE gets
// the modules of PACKAGES that a render loads. STANDARD_LIBRARY is Pyodide's own, with the modules
// that a render loads compiled.
import fs from "node:fs";
import { loadPyodide } from "pyodide";

// Node would print the failed line, which is a megabyte of Pyodide.
process.on("uncaughtException", (error) => {
  console.error(error.message);
  process.exit(1);
});

const [packages, template, library, archive] = process.argv.slice(2);
const python = await loadPyodide();
python.mountNodeFS("/packages", packages);
python.mountNodeFS("/template", template);
python.runPython(fs.readFileSync(new URL("bundle.py", import.meta.url), "utf8"));
fs.writeFileSync(library, python.FS.readFile("/library.zip"));
fs.writeFileSync(archive, python.FS.readFile("/archive.zip"));
