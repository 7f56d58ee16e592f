"""What a program leaves on the disk when it is killed, wherever that may be, and killed again."""

import contextlib
import os
import pathlib
import shutil
import sys
import unittest.mock

# Besides opening for writing, what changes the disk, by the names of Python's audit events.
CHANGES = {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "half a text"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

_listeners = []  # what is called before a change; an audit hook stays as long as the process


def kill_everywhere(program, starts, folder, kills=100):
    """Finds the states of a folder that a program can be killed in.

    A kill undoes nothing and runs no `finally`: it leaves the disk as it is before some change that
    does not come any more. So the states before each change are what kills lead to. The program is
    run from each of them too, and so on, until no other state turns up.

    Args:
        program: function without arguments that works in the folder; a text that it writes with
            `write_text` is, before it is whole, half there.
        starts: list of states: dicts of relative path to text, or to `None` for a folder.
        folder: path of the folder.
        kills: int, how many times in a row it is killed at most.

    Returns:
        Two lists of states, of the same order: from which the program was started; and where it
        ended, undisturbed.
    """
    reached, ended, new = [], [], starts
    for _ in range(kills + 1):
        seen = []
        for state in new:
            place(state, folder)
            with before_changes(lambda seen=seen: seen.append(state_of(folder))):
                program()
            reached.append(state)
            ended.append(state_of(folder))
        new = [state for i, state in enumerate(seen) if state not in reached + seen[:i]]
    return reached, ended


@contextlib.contextmanager
def before_changes(listener):
    """Calls a function before each change to the disk, and between the halves of each text."""
    _listeners.append(listener)
    try:
        # What is not synchronized is lost when the power is, not when a process is killed.
        with (
            unittest.mock.patch.object(pathlib.Path, "write_text", _write_in_halves),
            unittest.mock.patch.object(os, "fsync"),
        ):
            yield
    finally:
        _listeners.pop()


def place(state, folder):
    """Makes a folder that holds a state and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in state.items():
        path = folder / name
        (path if text is None else path.parent).mkdir(parents=True, exist_ok=True)
        if text is not None:
            path.write_text(text, encoding="utf-8")


def state_of(folder):
    """The state that a folder is in."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
    }


def _write_in_halves(path, text, encoding=None):
    with open(path, "w", encoding=encoding) as file:
        file.write(text[: len(text) // 2])
        file.flush()
        sys.audit("half a text")
        file.write(text[len(text) // 2 :])


def _listen(event, arguments):
    if _listeners and (event in CHANGES or (event == "open" and arguments[2] & WRITING)):
        _listeners[-1]()


sys.addaudithook(_listen)
