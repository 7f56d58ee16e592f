"""Runs all stages of a recipe, one after the other; run again, it goes on where it stopped.

    tinybert-tf run trainers/recipes/snips.yaml

A recipe is a YAML file: `output`, a folder; `stages`, a list of one command each with its
settings; anything else is a setting for every stage that has it. `${output}` in a value stands for
the folder.
"""

import dataclasses
import pathlib
import string
import sys

from tinybert_tf.programs.run_record import is_finished
from tinybert_tf.programs.settings import Settings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings(Settings):
    """Settings of `run`."""

    recipe: str = dataclasses.field(metadata={"help": "YAML file", "positional": True})
    output: str | None = setting(None, "folder, instead of the recipe's own")

    def check(self):
        read_stages(self.recipe, self.output)


def run(settings):
    """Runs the stages; returns the result of each that ran now or before."""
    import importlib

    from tinybert_tf.cli import COMMANDS

    results, went_on = {}, False
    for name, (command, stage) in read_stages(settings.recipe, settings.output).items():
        if not went_on and is_finished(command, stage):
            sys.stderr.write(f"{name}: finished before\n")
            continue
        sys.stderr.write(f"{name}: {command}\n")
        went_on = True
        stage.check()
        results[name] = importlib.import_module(COMMANDS[command][0]).run(stage)
    return results


def read_stages(path, output=None):
    """The stages of a recipe.

    Args:
        path: str, the recipe.
        output: str, instead of the recipe's own output, or `None`.

    Returns:
        Dict of stage name (its command, numbered where it comes again) to `(command, settings)`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a file, or names an unknown command or setting.
    """
    recipe = _read(pathlib.Path(path))
    output = output or recipe.pop("output", None)
    recipe.pop("output", None)
    stages = recipe.pop("stages", None)
    if not output or not isinstance(stages, list) or not stages:
        raise ValueError(f"{path}: expected `output`, a folder, and `stages`, a list of commands.")
    found = {}
    for number, stage in enumerate(stages, 1):
        if not isinstance(stage, dict) or len(stage) != 1:
            raise ValueError(f"{path}: stage {number} is {stage!r}, expected `command: settings`.")
        ((command, values),) = stage.items()
        name = command if command not in found else f"{command} {number}"
        where = f"{path}: stage {number}"
        found[name] = (command, _settings(command, values or {}, recipe, output, where))
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


def _settings(command, values, shared, output, where):
    from tinybert_tf.cli import COMMANDS, parse_settings, settings_class

    if command not in COMMANDS or command == "run":
        commands = ", ".join(name for name in COMMANDS if name != "run")
        raise ValueError(f"{where}: unknown command {command!r}. Commands: {commands}.")
    names = {field.name for field in dataclasses.fields(settings_class(command))}
    values = {key.replace("-", "_"): value for key, value in values.items()}
    unknown = sorted(values.keys() - names)
    if unknown:
        raise ValueError(f"{where}: {command} has no setting {', '.join(unknown)}.")
    values = {key: value for key, value in shared.items() if key in names} | values
    values = {
        key: string.Template(value).safe_substitute(output=output)
        if isinstance(value, str)
        else value
        for key, value in values.items()
    }
    try:
        return parse_settings(command, values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error


if __name__ == "__main__":
    from tinybert_tf.cli import main

    main(["run"])
