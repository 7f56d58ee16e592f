import pytest
import tiny
from source_tree import ROOT
from tinybert_tf.trainers.run import read_stages

RECIPES = sorted((ROOT / "trainers" / "recipes").glob("*.yaml"))
EXPORT = "output: out\nstages:\n- export: {model: a, output: b.tflite}\n"


def write(folder, text):
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_can_be_read(path):
    assert read_stages(path, task="sst2", data_dir="glue")


def test_settings_of_all_stages_and_of_one(tmp_path):
    recipe = """
output: out
seed: 3
data-dir: glue
task: sst2
stages:
- finetune-teacher: {teacher: a, output: "${output}/teacher", learning-rate: 1e-4, seed: 5}
- benchmark: {model: "${output}/x.tflite", lengths: [4, 8]}
- benchmark: {model: "$HOME/x.tflite"}
"""
    stages = read_stages(write(tmp_path, recipe))
    assert list(stages) == ["finetune-teacher", "benchmark", "benchmark 3"]
    _, teacher = stages["finetune-teacher"]
    assert (teacher.output, teacher.learning_rate, teacher.seed) == ("out/teacher", 1e-4, 5)
    assert (teacher.task, teacher.data_dir, teacher.epochs) == ("sst2", "glue", 3)
    assert stages["benchmark"][1].lengths == (4, 8)
    assert stages["benchmark 3"][1].model == "$HOME/x.tflite"


def test_the_task_and_its_data_stand_in_values(tmp_path):
    recipe = """
output: out
stages:
- finetune-teacher: {teacher: a, output: "${output}/${task}"}
- prepare-corpus: {input: ["${data_dir}/a.txt", b.txt], vocabulary: v, output: c}
"""
    path = write(tmp_path, recipe)
    stages = read_stages(path, task="cola", data_dir="glue")
    teacher, corpus = (stages[name][1] for name in ("finetune-teacher", "prepare-corpus"))
    assert (teacher.task, teacher.output) == ("cola", "out/cola")
    assert corpus.input == ("glue/a.txt", "b.txt")
    with pytest.raises(ValueError, match=r"stage 2: give --data-dir; \$\{data_dir\}/a.txt asks"):
        read_stages(path, task="cola")
    message = tiny.refused(2, "run", path, "--data-dir", "glue")
    assert "stage 1: give --task; ${output}/${task} asks for it." in message


def test_another_output(tmp_path):
    recipe = "output: out\nstages:\n- benchmark: {model: '${output}/x.tflite'}\n"
    assert (
        read_stages(write(tmp_path, recipe), output="new")["benchmark"][1].model == "new/x.tflite"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("output: [", "not YAML"),
        ("just words", "expected `output` and `stages`, got 'just words'"),
        ("", "expected `output` and `stages`, got None"),
        ("stages:\n- export: {}\n", "expected `output`, a folder, and `stages`"),
        ("output: out\nstages: export\n", "expected `output`, a folder, and `stages`"),
        ("output: out\nstages: []\n", "expected `output`, a folder, and `stages`"),
        ("output: out\nstages: [export]\n", "stage 1 is 'export', expected `command: settings`"),
        ("output: out\nstages:\n- exprt: {}\n", "stage 1: unknown command 'exprt'. Commands:"),
        ("output: out\nstages:\n- run: {recipe: x}\n", "stage 1: unknown command 'run'"),
        ("output: out\nstages:\n- export: b.tflite\n", "stage 1: export has 'b.tflite', expected"),
        ("output: out\nstages:\n- export: {modle: a}\n", "stage 1: export has no setting modle"),
        ("output: out\nstages:\n- export: {model: a}\n", "stage 1: export: .*output"),
        ("output: o\nstages:\n- benchmark: {model: a, runs: x}\n", "stage 1: benchmark: .*runs"),
        (f"sed: 3\n{EXPORT}", "no stage has a setting sed"),
    ],
)
def test_broken_recipes(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=rf"(?s)recipe.yaml: .*{message}"):
        read_stages(path)
    assert f"{path}: " in tiny.refused(2, "run", path)


def test_missing_recipe():
    assert tiny.refused(2, "run", "gone.yaml") == "tinybert-tf: gone.yaml: no such recipe."
