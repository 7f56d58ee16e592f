"""Imports between the rooms of the house point one way, and the edge room stands alone."""

import graphlib
import sys

import pytest
from source_tree import SourceTree

# A room may import rooms of its own level and below; the top is what nothing else imports.
LEVELS = {
    "atomic": 0,
    "version": 0,
    "short_errors": 0,
    "suggestions": 0,
    "recipes": 0,
    "edge": 1,
    "models": 1,
    "losses": 1,
    "metrics": 1,
    "data": 1,
    "report": 1,
    "corpus": 2,
    "checkpoints": 2,
    "distillation": 2,
    "evaluation": 2,
    "augmentation": 2,
    "quantization": 2,
    "callbacks": 3,
    "export": 4,
    "programs": 5,
    "trainers": 5,
    "tflite": 5,
    "cli": 5,
    "__init__": 5,
}
# What a program may import before it runs.
LIGHT = ("tinybert_tf.programs", "tinybert_tf.atomic", "tinybert_tf.recipes")
LIGHT += ("tinybert_tf.suggestions", "tinybert_tf.tflite.", "tinybert_tf.trainers.")
ALLOWED_IN_EDGE = {"numpy", "ai_edge_litert", "tflite_runtime", "tensorflow", "tokenizers"}


def room_of(path):
    """Returns the room of a file: its folder in the library, or its own name where it has none."""
    if path.parts[0] != "tinybert_tf":
        return path.parts[0]
    return path.parts[1] if len(path.parts) > 2 else path.stem


def room_imports(tree):
    """Returns dict from room to the set of other rooms that it imports."""
    graph = {}
    for path in tree.python_files:
        if path.parts[0] not in ("tests", "benchmarks"):
            imported = {room_of(other) for other in tree.house_imports(path)}
            graph.setdefault(room_of(path), set()).update(imported - {room_of(path)})
    return graph


def wrong_imports(graph):
    """Returns the sorted "room imports room" of those that point up."""
    return sorted(
        f"{room} imports {other}"
        for room, others in graph.items()
        for other in others
        if LEVELS[other] > LEVELS[room]
    )


@pytest.fixture(scope="module", name="tree")
def read_tree():
    return SourceTree()


def test_every_room_has_a_level(tree):
    assert set(room_imports(tree)) <= set(LEVELS)


def test_imports_point_one_way(tree):
    assert wrong_imports(room_imports(tree)) == []


def test_rooms_below_the_programs_do_not_import_in_circles(tree):
    graph = room_imports(tree)
    graphlib.TopologicalSorter(
        {room: others for room, others in graph.items() if LEVELS[room] < LEVELS["programs"]}
    ).prepare()  # raises CycleError


def test_edge_imports_nothing_else_of_the_house(tree):
    files = [path for path in tree.python_files if room_of(path) == "edge"]
    house = {str(other) for path in files for other in tree.house_imports(path)}
    assert {path for path in house if not path.startswith("tinybert_tf/edge/")} == set()
    assert set().union(*(tree.outside_imports(path) for path in files)) <= ALLOWED_IN_EDGE


def test_programs_import_only_settings_at_the_top(tree):
    """So that `--help` answers without TensorFlow."""
    top_level = {
        str(path): sorted(tree.top_level_imports(path))
        for path in tree.python_files
        if path.parts[0] in ("trainers", "tflite")
    }
    wrong = {
        path: [name for name in names if not name.startswith(LIGHT)]
        for path, names in top_level.items()
    }
    assert not any(wrong.values()), wrong


def test_an_import_that_points_up_is_found(tmp_path):
    sources = {
        "tinybert_tf/__init__.py": "",
        "tinybert_tf/models/__init__.py": "def f():\n  from tinybert_tf import checkpoints",
        "tinybert_tf/checkpoints/__init__.py": "import tinybert_tf.models",
        "tinybert_tf/losses/__init__.py": "import tinybert_tf",
        "trainers/fit.py": "import tinybert_tf.models",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    tree = SourceTree(tmp_path)
    assert wrong_imports(room_imports(tree)) == [
        "losses imports __init__",
        "models imports checkpoints",
    ]
    assert tree.top_level_imports(tree.modules["tinybert_tf.models"]) == set()
    assert tree.top_level_imports(tree.modules["tinybert_tf.trainers.fit"]) == {
        "tinybert_tf.models"
    }


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
