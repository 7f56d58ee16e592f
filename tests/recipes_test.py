import pathlib
import subprocess
import sys

import pytest

from tinybert_tf.recipes import RECIPES, TARGETS, Recipe, check_recipe


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_recipe_says_what_it_is_good_for(recipe):
    assert recipe.advice.endswith(".") and "\n" not in recipe.advice
    assert {"LiteRT", "MediaPipe"} <= set(recipe.oldest_runtimes)
    assert recipe.tool in ("converter", "quantizer")


def test_only_static_recipes_need_calibration_and_a_length():
    static = {name for name in RECIPES if name.startswith("static")}
    assert {name for name, recipe in RECIPES.items() if recipe.needs_examples} == static
    assert {name for name, recipe in RECIPES.items() if recipe.static_length} == static


def test_targets_are_recipes():
    assert TARGETS == {
        "cpu": "dynamic_wi8_afp32",
        "npu-int8": "static_wi8_ai8",
        "npu-int16": "static_wi8_ai16",
        "legacy-2.14": "legacy_dynamic_wi8",
    }
    assert set(TARGETS.values()) <= set(RECIPES)


def test_the_readme_has_every_recipe():
    text = (pathlib.Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    for name, recipe in RECIPES.items():
        runtimes = ", ".join(" ".join(pair) for pair in recipe.oldest_runtimes.items())
        assert f"| `{name}` | {recipe.advice} | {runtimes} |" in text


def test_known_recipes_pass():
    for name in RECIPES:
        check_recipe(name)


def test_unknown_recipe():
    message = 'Unknown recipe "dynamic_wi8". Did you mean "dynamic_wi8_afp32"? Recipes: float32, '
    with pytest.raises(ValueError) as error:
        check_recipe("dynamic_wi8")
    assert str(error.value).startswith(message)


def test_recipes_are_frozen():
    with pytest.raises(AttributeError):
        Recipe("a", "b").advice = "c"


def test_the_table_alone_needs_no_tensorflow():
    """Its module can be read by itself; the package around it is another matter."""
    path = sys.modules[Recipe.__module__].__file__
    code = (
        "import runpy, sys; sys.path.insert(0, '.');"
        "import types; package = types.ModuleType('tinybert_tf');"
        "package.__path__ = ['tinybert_tf']; sys.modules['tinybert_tf'] = package;"
        f"runpy.run_path({path!r}); sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
