import os

import pytest

from tinybert_tf.edge import contained
from tinybert_tf.edge.answers import why_it_ended
from tinybert_tf.edge.contained import _last, run_contained

DYING = """
import os, signal, sys, time
class Interpreter:
    def __init__(self, **settings):
        print("noise of the runtime", flush=True)
        print("Internal error: it cannot go on", file=sys.stderr, flush=True)
        {deed}
"""


@pytest.fixture(name="die")
def make_die(tiny_file, tmp_path, monkeypatch):
    """Starts a file with a runtime that does something else instead of loading it."""

    def die(deed, job="try", **more):
        package = tmp_path / "ai_edge_litert"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "interpreter.py").write_text(DYING.format(deed=deed))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        return run_contained(job, path=str(tiny_file), **more)

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


def test_a_signal_without_a_name():
    assert "the runtime died of signal 35. Try a newer" in why_it_ended(-35, "")


def test_a_try_without_end_is_ended(die, monkeypatch):
    monkeypatch.setattr(contained, "_MOST_SECONDS", {"try": 5})
    with pytest.raises(ValueError, match="tiny.tflite does not run: it has not answered within 5 "):
        die("time.sleep(600)")


def test_only_a_try_has_an_end(die, monkeypatch):
    monkeypatch.setattr(contained, "_MOST_SECONDS", {"try": 0.01})
    with pytest.raises(ValueError, match="tiny.tflite does not run: exit status 7"):
        die("time.sleep(0.1); os._exit(7)", "start", lengths=[2])


def test_nothing_of_the_current_folder_is_imported(tiny_file, tmp_path, monkeypatch):
    for name in ("numpy", "json", "tinybert_tf"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    assert run_contained("try", path=str(tiny_file))["wrong_inputs"] == ""


def test_the_file_taken_up_last_is_named():
    lines = ['{"path": "a"}\n', '{"path": "b"}\n', '{"pa']
    assert _last(lines) == ("b", {})
    assert _last([]) == ("The measuring", {})
    assert _last([*lines[:1], '{"result": [1]}\n']) == ("a", {"result": [1]})
