"""Writes a trained model as a .tflite file that carries its labels and vocabulary.

    tinybert-tf export --model runs/sst2/student --output sst2.tflite --recipe dynamic_wi8_afp32

What recipes there are and what each is good for: `tinybert_tf.export.RECIPES`.
"""

import dataclasses

from tinybert_tf.programs.run_record import RunRecord
from tinybert_tf.programs.settings import Settings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportSettings(Settings):
    """Settings of `export`."""

    model: str = setting(help="model folder")
    output: str = setting(help="file to write, ending in .tflite")
    recipe: str = setting("dynamic_wi8_afp32", "float32, float16 or dynamic_wi8_afp32 (int8)")
    overwrite: bool = setting(False, "replace an export with other settings")

    def check(self):
        if not self.output.endswith(".tflite"):
            raise ValueError(f"--output is {self.output}, expected a name that ends in .tflite.")

        from tinybert_tf.export.converter import check_recipe

        check_recipe(self.recipe)


def run(settings):
    """Exports; returns the file's path, recipe and size in bytes."""
    record = RunRecord("export", settings)  # Not looked at: the model may have changed since.

    import tinybert_tf as tb

    model = tb.load(settings.model, dtype="float32")
    record.start()
    return record.finish(tb.export.to_tflite(model, settings.output, settings.recipe))


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("export")
