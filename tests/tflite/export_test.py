import json

import pytest
from tinybert_tf.tflite.export import ExportSettings, run

from tinybert_tf.edge import EdgeModel


def settings(folder, output, **others):
    return ExportSettings(model=str(folder), output=str(output), **others)


def test_writes_the_file_and_its_record(folder, tmp_path):
    output = tmp_path / "student.tflite"
    result = run(settings(folder, output, recipe="float16"))
    assert result["size_bytes"] == output.stat().st_size
    assert EdgeModel(output).labels == ("no", "yes")
    record = json.loads((tmp_path / "student.tflite.run.json").read_text())
    assert record["settings"]["recipe"] == "float16"
    assert record["result"] == result


def test_again_writes_the_file_anew(folder, tmp_path):
    output = tmp_path / "student.tflite"
    run(settings(folder, output))
    content = output.read_bytes()
    output.write_bytes(b"of an older model")
    run(settings(folder, output))
    assert len(output.read_bytes()) == len(content)


def test_another_recipe_replaces_only_when_told(folder, tmp_path):
    output = tmp_path / "student.tflite"
    run(settings(folder, output))
    with pytest.raises(FileExistsError, match="--recipe was"):
        run(settings(folder, output, recipe="float32"))
    run(settings(folder, output, recipe="float32", overwrite=True))
    assert EdgeModel(output).settings["recipe"] == "float32"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"recipe": "int8"}, 'Unknown recipe "int8". Recipes: float32'),
        ({"output": "student"}, "--output is student, expected a name that ends in .tflite"),
    ],
)
def test_wrong_settings_are_refused_before_work_starts(folder, wrong, message):
    with pytest.raises(ValueError, match=message):
        settings(folder, **({"output": "student.tflite"} | wrong)).check()
