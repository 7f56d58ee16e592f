"""A TFLite runtime that dies of every file, as true ones die of some damaged files."""

RUNTIME = """
import os, signal
class Interpreter:
    def __init__(self, **settings):
        os.kill(os.getpid(), signal.SIGSEGV)
"""


def write_deadly_runtime(folder):
    """Writes it into a folder; returns that, for PYTHONPATH."""
    package = folder / "ai_edge_litert"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "interpreter.py").write_text(RUNTIME)
    return str(folder)
