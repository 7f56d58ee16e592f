"""The command line: `tinybert-tf COMMAND --flag value`."""

import contextlib
import dataclasses
import importlib
import json
import logging
import os
import sys
import textwrap
import typing
import warnings

from tinybert_tf.programs.strategies import lost_worker_message

# command: (module, class of its settings, what it does)
COMMANDS = {
    "quickstart": (
        "tinybert_tf.trainers.quickstart",
        "QuickstartSettings",
        "the whole way on bundled data: teacher, student, int8 .tflite, report",
    ),
    "prepare-corpus": (
        "tinybert_tf.trainers.prepare_corpus",
        "PrepareCorpusSettings",
        "plain text to shards of token ids",
    ),
    "general-distill": (
        "tinybert_tf.trainers.general_distill",
        "GeneralDistillSettings",
        "distil a pre-trained teacher on plain text: the first stage",
    ),
    "adapt-mlm": (
        "tinybert_tf.trainers.adapt_mlm",
        "AdaptMLMSettings",
        "train a BERT as a masked language model on plain text",
    ),
    "finetune-teacher": (
        "tinybert_tf.trainers.finetune_teacher",
        "FinetuneTeacherSettings",
        "fine-tune a BERT folder on a task",
    ),
    "augment": (
        "tinybert_tf.trainers.augment",
        "AugmentSettings",
        "vary a task's training texts word by word",
    ),
    "task-distill": (
        "tinybert_tf.trainers.task_distill",
        "TaskDistillSettings",
        "intermediate, then prediction distillation",
    ),
    "evaluate": (
        "tinybert_tf.trainers.evaluate",
        "EvaluateSettings",
        "the task's metrics of a model folder or a .tflite file",
    ),
    "predict": (
        "tinybert_tf.trainers.predict",
        "PredictSettings",
        "labels and probabilities for the texts of a file",
    ),
    "convert-checkpoint": (
        "tinybert_tf.trainers.convert_checkpoint",
        "ConvertCheckpointSettings",
        "write a model of any format as a folder of another",
    ),
    "export": (
        "tinybert_tf.tflite.export",
        "ExportSettings",
        "write a model folder as a .tflite file",
    ),
    "verify": (
        "tinybert_tf.tflite.verify",
        "VerifySettings",
        "compare a .tflite file with the model it was made from",
    ),
    "benchmark": (
        "tinybert_tf.tflite.benchmark",
        "BenchmarkSettings",
        "latency, memory and size of .tflite files on this machine",
    ),
    "pareto": (
        "tinybert_tf.tflite.pareto",
        "ParetoSettings",
        "export students by every recipe, and tell which files are worth having",
    ),
    "inspect": (
        "tinybert_tf.tflite.inspect_model",
        "InspectSettings",
        "what a model or corpus is, what it lacks, what would go wrong",
    ),
    "run": (
        "tinybert_tf.trainers.run",
        "RunSettings",
        "all stages of a recipe; again, and it goes on where it stopped",
    ),
}

DONE, FAILED, WRONG_USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143
_INTERRUPTED_MESSAGE = "Interrupted. The same command goes on from what is saved."


def main(arguments=None):
    """Runs a command.

    Args:
        arguments: list of str without the program's name; `None` takes the process's own.

    Returns:
        Does not return: exits with 0 (done), 1 (failed), 2 (wrong usage) or 130 (interrupted).
    """
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def run_as_program(command):
    """Runs a command with the process's flags, for programs that are run as files."""
    main([command, *sys.argv[1:]])


def _run(arguments):
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return DONE if arguments else WRONG_USAGE
    if arguments[0] == "--version":
        from tinybert_tf.version import __version__

        print(__version__)
        return DONE
    if arguments[0] not in COMMANDS:
        from tinybert_tf.suggestions import did_you_mean

        hint = did_you_mean(arguments[0], COMMANDS)
        return _complain(f'Unknown command "{arguments[0]}".{hint}\n\n{_overview()}', WRONG_USAGE)
    command = arguments[0]
    program = importlib.import_module(COMMANDS[command][0])
    namespace = make_parser(command).parse_args(arguments[1:])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _reporting(command, namespace.debug) as status:
        status.append(WRONG_USAGE)
        settings = make_settings(command, vars(namespace))
        settings.check()
        status.append(FAILED)
        result = program.run(settings)
        _show(command, result, namespace.json)
        status.append(DONE)
    return status[-1]


def make_settings(command, values):
    """The settings of a command.

    Args:
        command: str, a key of `COMMANDS`.
        values: dict of setting to value; what is no setting of the command is left out.

    Returns:
        An instance of the program's settings dataclass.
    """
    settings = settings_class(command)
    names = {field.name for field in dataclasses.fields(settings)}
    values = {name: value for name, value in values.items() if name in names}
    return settings(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def parse_settings(command, values):
    """The settings of a command from values of a file, converted as flags are.

    Args:
        command: str, a key of `COMMANDS`.
        values: dict of setting to value.

    Returns:
        An instance of the program's settings dataclass.

    Raises:
        ValueError: If a value has the wrong type or a required setting is missing.
    """
    parser = make_parser(command, exit_on_error=False)
    try:
        return make_settings(command, vars(parser.parse_object(values)))
    except Exception as error:
        raise ValueError(f"{command}: {error}") from error


def settings_class(command):
    """The settings dataclass of a command."""
    module, name, _ = COMMANDS[command]
    return getattr(importlib.import_module(module), name)


def make_parser(command, **options):
    """The parser of a command's flags.

    Args:
        command: str, a key of `COMMANDS`.
        **options: further arguments of `jsonargparse.ArgumentParser`.
    """
    import jsonargparse

    program = importlib.import_module(COMMANDS[command][0])
    parser = jsonargparse.ArgumentParser(
        **options,
        prog=f"tinybert-tf {command}",
        description=program.__doc__,
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="config", help="YAML file of these settings")
    parser.add_argument("--json", action="store_true", help="result as JSON, last line of stdout")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    settings = settings_class(command)
    types = typing.get_type_hints(settings)
    for field in dataclasses.fields(settings):
        _add_flag(parser, field, types[field.name])
    return parser


def _add_flag(parser, field, type_):
    flag, options = f"--{field.name.replace('_', '-')}", {"help": field.metadata["help"]}
    if field.metadata.get("positional"):
        parser.add_argument(field.name, type=type_, **options)
        return
    if type_ is bool:
        parser.add_argument(flag, action="store_true", **options)
        return
    if typing.get_origin(type_) in (tuple, list):
        options |= {"nargs": "+"}
        type_ = typing.get_args(type_)[0]
    if field.default is dataclasses.MISSING:
        options["required"] = True
    else:
        is_sequence = isinstance(field.default, tuple)
        options["default"] = list(field.default) if is_sequence else field.default
    parser.add_argument(flag, type=type_, **options)


def _overview():
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, (_, _, what) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: tinybert-tf COMMAND [--config settings.yaml] [--flag value]",
            "",
            "Teaches a small BERT from a large one and takes it to the device.",
            "",
            *lines,
            "",
            "tinybert-tf COMMAND --help tells a command's flags.",
        ]
    )


@contextlib.contextmanager
def _reporting(command, debug):
    """Turns errors into a message and a status: the last one noted when the error came."""
    status = []
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module="tinybert_tf|keras.src.ca")
        warnings.showwarning = _show_warning
        try:
            yield status
        except KeyboardInterrupt as stop:  # a terminated training tells that its state is saved
            message, code = (
                (str(stop), TERMINATED) if str(stop) else (_INTERRUPTED_MESSAGE, INTERRUPTED)
            )
            status.append(_complain(message, code))
        except Exception as error:
            if debug:
                raise
            status.append(_complain(_message(error), status[-1]))


def _message(error):
    lost_worker = "tensorflow" in sys.modules and lost_worker_message(error)
    if lost_worker:
        return lost_worker
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    text = text or type(error).__name__
    expected = isinstance(error, (ValueError, OSError, KeyError, ArithmeticError, ImportError))
    if not expected:
        text = f"{type(error).__name__}: {textwrap.shorten(text, 400)} --debug shows where."
    return text


def _complain(message, status):
    print(f"tinybert-tf: {message}", file=sys.stderr)
    return status


def _show_warning(message, category, *_):
    print(f"warning: {message}", file=sys.stderr)


def _show(command, result, as_json):
    """The result as a table on stderr, and as JSON on stdout if asked for."""
    import rich.console
    import rich.table

    table = rich.table.Table(title=command, show_header=False)
    for name, value in _rows(result):
        table.add_row(name, value)
    rich.console.Console(stderr=True).print(table)
    if as_json:
        print(json.dumps(result, ensure_ascii=False))


def _rows(result, prefix=""):
    """Names and values of the single figures in a result; lists are left to the JSON."""
    for name, value in result.items():
        if isinstance(value, dict):
            yield from _rows(value, f"{prefix}{name} ")
        elif isinstance(value, float):
            yield f"{prefix}{name}", f"{value:.4g}"
        elif not isinstance(value, list):
            yield f"{prefix}{name}", str(value)


class _HelpFormatter:
    """Made below, so that jsonargparse is imported only when a command needs it."""

    def __new__(cls, *args, **kwargs):
        import argparse

        import jsonargparse

        class Formatter(jsonargparse.DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
            """Keeps the lines of the description."""

        return Formatter(*args, **kwargs)


if __name__ == "__main__":
    main()
