"""What the project's Python files import, read with `ast`, so that nothing is run."""

import ast
import functools
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = ("tinybert_tf", "trainers", "tflite", "tests", "benchmarks")
INSTALLED_INSIDE = (
    "trainers",
    "tflite",
)  # as tinybert_tf.trainers, tinybert_tf.tflite: see setup.py


class SourceTree:
    """The Python files below a folder, the modules they are and the imports between them.

    Args:
        root: path of the folder that holds `tinybert_tf`, `tests` and so on.
    """

    def __init__(self, root=ROOT):
        self.root = pathlib.Path(root)

    @functools.cached_property
    def files(self):
        """All files as sorted paths relative to the root, without caches and hidden ones."""
        found = (path for folder in FOLDERS for path in (self.root / folder).rglob("*"))
        relative = (path.relative_to(self.root) for path in found if path.is_file())
        return sorted(path for path in relative if not _is_left_out(path))

    @functools.cached_property
    def python_files(self):
        """The paths of `files` that end in .py."""
        return [path for path in self.files if path.suffix == ".py"]

    @functools.cached_property
    def modules(self):
        """dict from dotted module name to path."""
        return {_module_name(path): path for path in self.python_files}

    def tree(self, path):
        """Returns the parsed `ast.Module` of a file."""
        return ast.parse((self.root / path).read_text(encoding="utf-8"), filename=str(path))

    def house_imports(self, path, strings=True):
        """Returns the set of paths that a file imports, also inside functions and as strings.

        With `strings`, a string counts when it is a module's whole dotted name, or in a package's
        `__init__.py` the name of one of its modules: so do lazy tables and subprocesses name them.
        """
        names = _imported_names(self.tree(path))
        names |= self._names_in_strings(path) if strings else set()
        found = {self._file_of(name) for name in names}
        return found - {None, path}

    def top_level_imports(self, path):
        """Returns the dotted names that loading a file imports, without the standard library's."""
        top = [node for node in self.tree(path).body if not is_main_guard(node)]
        names = _imported_names(ast.Module(top, []), inside_functions=False)
        return {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}

    def outside_imports(self, path):
        """Returns the set of imported top-level modules of neither house nor standard library."""
        return self._outside(_imported_names(self.tree(path)))

    def outside_names(self, path):
        """Returns what top-level modules the dotted names in a file's strings could mean."""
        dotted = re.compile(r"[a-z]\w*(\.[a-z]\w*)+")
        return self._outside({text for text in self._strings(path) if dotted.fullmatch(text)})

    def _outside(self, names):
        tops = {name.partition(".")[0] for name in names if self._file_of(name) is None}
        return tops - sys.stdlib_module_names

    def _file_of(self, name):
        """Returns the path of the longest beginning of a dotted name that is a module, or None."""
        while name and name not in self.modules:
            name = name.rpartition(".")[0]
        return self.modules.get(name)

    def _names_in_strings(self, path):
        package = _module_name(path) if path.name == "__init__.py" else None
        strings = self._strings(path)
        inside = {f"{package}.{string}" for string in strings} if package else set()
        return {name for name in strings | inside if "." in name and name in self.modules}

    def _strings(self, path):
        nodes = (node for node in ast.walk(self.tree(path)) if isinstance(node, ast.Constant))
        return {node.value for node in nodes if isinstance(node.value, str)}


def _is_left_out(path):
    return any(part == "__pycache__" or part.startswith(".") for part in path.parts)


def _module_name(path):
    """Returns the dotted name under which a file is imported: `tests` itself is on the path."""
    parts = list(path.with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    if parts[0] in INSTALLED_INSIDE:
        parts.insert(0, "tinybert_tf")
    if parts[0] == "tests":
        parts.pop(0)
    return ".".join(parts)


def is_main_guard(node):
    """Tells whether a statement is `if __name__ == "__main__":`."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def _imported_names(tree, inside_functions=True):
    """Returns the dotted names imported in a file; `from a import b` gives `a.b`."""
    names, waiting = set(), [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        if inside_functions or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            waiting.extend(ast.iter_child_nodes(node))
    return names
