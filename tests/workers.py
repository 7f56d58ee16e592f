"""The two processes of a distributed job on this machine."""

import contextlib
import os
import subprocess

from benchmarks.scaling import cluster_settings


@contextlib.contextmanager
def two_workers(commands):
    """Starts a command for each of the two workers of a job; gives their processes.

    Args:
        commands: two lists of str and paths.
    """
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [
        subprocess.Popen(command, env=os.environ | settings, **pipes)
        for command, settings in zip(commands, cluster_settings(2), strict=True)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
