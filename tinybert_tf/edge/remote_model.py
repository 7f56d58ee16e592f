"""A .tflite file that another Python runs: an emulator's, or another machine's by ssh.

That one runs `python -m tinybert_tf.edge.remote_model FILE`. It reads the inputs of one sentence
from each line of standard input, as JSON, and writes a line of JSON in answer.
"""

import contextlib
import json
import pathlib
import platform
import subprocess
import sys
import tempfile

import numpy as np

from tinybert_tf.edge.answers import open_answers, why_it_ended
from tinybert_tf.edge.interpreter import EdgeModel, runtime_version


class RemoteModel:
    """Runs a .tflite file as `EdgeModel` does, but elsewhere; used in a `with` block.

    Args:
        path: str or path-like, the .tflite file, as the other Python finds it. By ssh it meets a
            shell: `shlex.quote` it if it holds spaces or the like.
        command: sequence of str, what starts the other Python; it finds `tinybert_tf`, NumPy and a
            TFLite runtime.
        environment: dict of environment variables; `None` for those of this process.

    Attributes:
        path: `pathlib.Path` of the file.
        runtime: str, package and version of the runtime that runs it, as "ai-edge-litert 2.3.0".
        machine: str, the processor's architecture there, as "aarch64".

    Raises:
        ValueError: If the file is missing or broken there, or the other Python does not run it.

    Example:
        with RemoteModel("sst2.tflite", ["ssh", "board", "python3"]) as model:
            model.run(ids=[101, 2204, 102], mask=[1, 1, 1], segment_ids=[0, 0, 0])["probabilities"]
    """

    def __init__(self, path, command, environment=None):
        self.path = pathlib.Path(path)
        with contextlib.ExitStack() as stack:
            self._errors = stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
            self._process = subprocess.Popen(
                [*command, "-m", "tinybert_tf.edge.remote_model", str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=environment,
                encoding="utf-8",
            )
            stack.callback(self._process.communicate)
            stack.callback(self._process.kill)
            started = self._receive()
            self._end = stack.pop_all().close
        self.runtime, self.machine = started["runtime"], started["machine"]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._end()

    def run(self, ids, mask, segment_ids):
        """Runs the model on one sentence.

        Args:
            ids, mask, segment_ids: int sequences, as for `EdgeModel.run`.

        Returns:
            Dict from each output's name to its float32 array, as of `EdgeModel.run`.

        Raises:
            ValueError: If the inputs are refused, or the other Python ends.
        """
        inputs = {"ids": ids, "mask": mask, "segment_ids": segment_ids}
        line = json.dumps({name: np.asarray(values).tolist() for name, values in inputs.items()})
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # It has ended, of which more is known where its answer is missing.
        outputs = self._receive()["outputs"]
        return {name: np.array(values, np.float32) for name, values in outputs.items()}

    def _receive(self):
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise ValueError(f"{self.path} does not run there: {self._why_it_ended()}")
        received = json.loads(line)
        if "error" in received:
            raise ValueError(received["error"])
        return received

    def _why_it_ended(self):
        status = self._process.wait()
        self._errors.seek(0)
        return why_it_ended(status, self._errors.read())


def main():
    """Answers the lines of standard input with the file that the process was given."""
    say = open_answers()
    try:
        model = EdgeModel(sys.argv[1])
        say(runtime=runtime_version(), machine=platform.machine())
    except (ValueError, ImportError) as error:
        say(error=str(error))
        return
    for line in sys.stdin:
        try:
            outputs = model.run(**json.loads(line))
            say(outputs={name: values.tolist() for name, values in outputs.items()})
        except ValueError as error:  # of these inputs; others may be good
            say(error=str(error))


if __name__ == "__main__":
    main()
