"""What a process says to the one that started it: lines of JSON, or how it died."""

import json
import os
import signal
import sys

_LINES_SHOWN = 3


def open_answers():
    """Keeps standard output for answers; whatever else writes there goes to standard error.

    Returns:
        Function that takes keywords and writes them as a line of JSON.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # Some runtimes write there.

    def say(**line):
        answers.write(json.dumps(line) + "\n")
        answers.flush()

    return say


def why_it_ended(status, errors):
    """Tells of a process that ended without an answer.

    Args:
        status: int, as of `subprocess.Popen.returncode`.
        errors: str, what it wrote to standard error.

    Returns:
        str, a signal or an exit status, and the last lines of `errors`.
    """
    shown = "\n".join(errors.strip().splitlines()[-_LINES_SHOWN:])
    if status < 0:
        died = f"the runtime died of {_signal_name(-status)}"
        return f"{died}. Try a newer runtime or another recipe.\n{shown}"
    return f"exit status {status}. {shown}"


def _signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"
