import dataclasses
import os
import pathlib
import subprocess
import sys
import warnings

import pytest
import tiny
from source_tree import ROOT

from tinybert_tf import cli
from tinybert_tf.version import __version__

HELP = "from tinybert_tf.cli import main; main()"
SECONDS_OF_HELP = 0.5
HEAVY = ("tensorflow", "keras", "numpy", "rich", "matplotlib")


def fresh(code, *arguments):
    """Runs Python code in a new process."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def processor_seconds(*arguments):
    """Seconds that a new process computes: what it takes on a machine that does nothing else."""
    before = os.times()
    assert fresh(HELP, *arguments).returncode == 0
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])  # of children: user and system


@pytest.mark.parametrize("arguments", [("--help",), ("export", "--help")])
def test_help_is_fast(arguments):
    assert min(processor_seconds(*arguments) for _ in range(3)) < SECONDS_OF_HELP


@pytest.mark.parametrize("command", [None, "export", "quickstart"])
def test_help_imports_nothing_heavy(command):
    code = (
        "import atexit, sys; from tinybert_tf.cli import main\n"
        f"atexit.register(lambda: print([m for m in {HEAVY} if m in sys.modules]))\n"
        "main()"
    )
    result = fresh(code, *([command] if command else []), "--help")
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_of_every_command_names_every_setting(command):
    settings = cli.settings_class(command)
    assert dataclasses.is_dataclass(settings)
    outcome = tiny.cli(command, "--help")
    assert outcome.status == 0
    for field in dataclasses.fields(settings):
        flag = field.name if field.metadata.get("positional") else f"--{field.name}"
        assert flag.replace("_", "-") in outcome.out
        assert field.metadata["help"].split()[0] in outcome.out
    for flag in ("--config", "--json", "--debug"):
        assert flag in outcome.out


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_overview_names_every_command(command):
    outcome = tiny.cli("--help")
    assert outcome.status == 0
    assert f"  {command} " in outcome.out


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_program_says_its_command_and_is_run_as_a_file(command):
    module = sys.modules[cli.settings_class(command).__module__]
    assert f"tinybert-tf {command} " in module.__doc__
    assert f'run_as_program("{command}")' in pathlib.Path(module.__file__).read_text()


def test_a_program_run_as_a_file_takes_the_flags_of_the_process():
    path = ROOT / "trainers" / "evaluate.py"
    result = subprocess.run(
        [sys.executable, path, "--help"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0
    assert "usage: tinybert-tf evaluate" in result.stdout


def test_no_command_is_wrong_usage():
    assert tiny.cli().status == 2


def test_version():
    outcome = tiny.cli("--version")
    assert (outcome.status, outcome.out) == (0, f"{__version__}\n")


def test_unknown_command_suggests_the_nearest():
    message = tiny.refused(2, "evalute")
    assert message.startswith('tinybert-tf: Unknown command "evalute". Did you mean "evaluate"?')


EXPORT = ("export", "--model", "m", "--output", "x.tflite")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*EXPORT, "--recipes", "float32"), "unrecognized arguments: --recipes"),
        ((*EXPORT, "--rec", "float32"), "unrecognized arguments: --rec"),
        ((*EXPORT, "extra"), "unrecognized arguments: extra"),
        (EXPORT[:3], "required: output"),
        (("benchmark", "--model", "m", "--runs", "many"), "key \"runs\": Expected a <class 'int'>"),
        (("benchmark", "--model", "m", "--lengths", "a"), 'key "lengths"'),
        (("run",), "required: recipe"),
        ((*EXPORT, "--config", "missing.yaml"), "missing.yaml"),
    ],
)
def test_wrong_flags(arguments, message):
    assert message in tiny.refused(2, *arguments)


def test_flags_override_the_config_file(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("tinybert_tf.tflite.benchmark.run", lambda got: seen.append(got) or {})
    config = tmp_path / "settings.yaml"
    config.write_text(f"model: {config}\nlengths: [4, 8]\nruns: 5\n")
    tiny.done("benchmark", "--config", config, "--runs", 6)
    (settings,) = seen
    assert (settings.model, settings.lengths, settings.runs) == (str(config), (4, 8), 6)


def test_an_unknown_setting_in_the_config_file(tmp_path):
    config = tmp_path / "settings.yaml"
    config.write_text("model: a.tflite\nlength: [4, 8]\n")
    assert "length" in tiny.refused(2, "benchmark", "--config", config)


@pytest.fixture(name="program")
def replace_benchmark(monkeypatch):
    """Sets what the program behind the command `benchmark` does."""

    def replace(function):
        monkeypatch.setattr("tinybert_tf.tflite.benchmark.run", lambda settings: function())

    return replace


def throw(error):
    raise error


BENCHMARK = ("benchmark", "--model", __file__)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("a is 1, expected 2."), "tinybert-tf: a is 1, expected 2."),
        (FileExistsError("x holds a run."), "tinybert-tf: x holds a run."),
        (PermissionError(13, "Permission denied", "x"), "tinybert-tf: x: Permission denied."),
        (OSError(28, "No space left on device"), "tinybert-tf: No space left on device."),
        (KeyError("it goes by x"), "tinybert-tf: it goes by x"),
        (ValueError(), "tinybert-tf: ValueError"),
        (RuntimeError("in the depths"), "RuntimeError: in the depths --debug shows where."),
    ],
)
def test_errors_are_one_message(program, error, message):
    program(lambda: throw(error))
    assert message in tiny.refused(1, *BENCHMARK)


def test_debug_shows_the_traceback(program):
    program(lambda: throw(ValueError("a is 1")))
    with pytest.raises(ValueError, match="a is 1"):
        cli.main([*BENCHMARK, "--debug"])


def test_interruption_has_its_own_status(program):
    program(lambda: throw(KeyboardInterrupt()))
    assert "Interrupted." in tiny.refused(130, *BENCHMARK)


def warn_from(module, category=UserWarning):
    warnings.warn_explicit("something", category, f"{module}.py", 1, module=module)
    return {}


@pytest.mark.parametrize(
    ("module", "category", "shown"),
    [
        ("tinybert_tf.callbacks.distillation_monitor", UserWarning, True),
        ("tinybert_tf.callbacks.distillation_monitor", DeprecationWarning, False),
        ("keras.src.trainers.trainer", UserWarning, False),
        ("some_library", UserWarning, False),
    ],
)
def test_our_warnings_are_shown_and_those_of_libraries_are_not(program, module, category, shown):
    program(lambda: warn_from(module, category))
    outcome = tiny.cli(*BENCHMARK)
    assert outcome.status == 0
    assert ("warning: something\n" in outcome.err) == shown
    assert shown or "something" not in outcome.err


def test_the_table_is_on_stderr_and_the_result_on_stdout(program):
    program(lambda: {"share": 0.123456, "inside": {"count": 3}, "rows": [1, 2]})
    assert tiny.done(*BENCHMARK) == {"share": 0.123456, "inside": {"count": 3}, "rows": [1, 2]}
    outcome = tiny.cli(*BENCHMARK)
    assert not outcome.out
    assert "0.1235" in outcome.err and "inside count" in outcome.err and "rows" not in outcome.err
