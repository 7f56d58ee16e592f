import os

import pytest

from tinybert_tf.edge.contained import _last, run_contained

DYING = """
import os, signal, sys
class Interpreter:
    def __init__(self, **settings):
        print("noise of the runtime", flush=True)
        print("Internal error: it cannot go on", file=sys.stderr, flush=True)
        {deed}
"""


@pytest.fixture(name="die")
def make_die(tiny_file, tmp_path, monkeypatch):
    """Starts a file with a runtime that does something else instead of loading it."""

    def die(deed):
        package = tmp_path / "ai_edge_litert"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "interpreter.py").write_text(DYING.format(deed=deed))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        return run_contained("start", path=str(tiny_file), lengths=[2])

    return die


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_death_names_the_file_and_the_signal(die, name):
    with pytest.raises(ValueError, match=rf"tiny.tflite does not run: .* died of {name}\. Try a"):
        die(f"os.kill(os.getpid(), signal.{name})")


def test_other_failures_show_what_was_said(die):
    with pytest.raises(ValueError, match=r"(?s)tiny.tflite does not run: exit .* 7.*cannot go on"):
        die("os._exit(7)")


def test_what_the_runtime_refuses(die):
    with pytest.raises(ValueError, match=r"^ai-edge-litert cannot load .*tiny.tflite: no such op"):
        die("raise ValueError('no such op')")


def test_an_unknown_error_shows_its_last_line(die):
    with pytest.raises(ValueError, match=r"(?s)tiny.tflite does not run.*ArithmeticError: depths"):
        die("raise ArithmeticError('depths')")


def test_the_file_taken_up_last_is_named():
    lines = ['{"path": "a"}\n', '{"path": "b"}\n', '{"pa']
    assert _last(lines) == ("b", {})
    assert _last([]) == ("The measuring", {})
    assert _last([*lines[:1], '{"result": [1]}\n']) == ("a", {"result": [1]})
