"""How a .tflite file stores and computes numbers: what there is, and what each is good for."""

import dataclasses
from collections.abc import Mapping

from tinybert_tf.suggestions import did_you_mean


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A way of quantizing, named as AI Edge Quantizer names them.

    Args:
        advice: str, what it is good for, in one line.
        oldest_runtimes: mapping of each runtime that runs such files, "LiteRT" or the like, to its
            oldest release that answers right; others refuse them, but LiteRT 1.0 answers wrongly
            from 4-bit dense layers.
        tool: str, what makes it: "converter" (TensorFlow's, while it converts) or "quantizer" (AI
            Edge Quantizer, from the float32 file).
        settings: mapping, the tool's settings. Converter: `optimizations` and `supported_types`,
            tuples of names, and `per_tensor`, bool. Quantizer: operator to mode ("dynamic" or
            "weight_only") and bits of its weights; with `activation_bits`, all other operators
            have int8 weights and activations of so many bits.
        static_length: int, the length in tokens to fix files at unless told otherwise, as the
            hardware it is for takes no other; `None` for any length.
    """

    advice: str
    oldest_runtimes: Mapping
    tool: str = "converter"
    settings: Mapping = dataclasses.field(default_factory=dict)
    static_length: int | None = None

    @property
    def needs_examples(self):
        """Whether ranges of activations must be measured on examples of the task."""
        return "activation_bits" in self.settings


_FIRST = {
    "LiteRT": "1.0.0",
    "MediaPipe": "0.10.5",
    "Task Library": "0.4.4",
    "tflite-runtime": "2.14.0",
}

RECIPES = {
    "float32": Recipe("Exact and largest; what the others are compared with.", _FIRST),
    "float16": Recipe(
        "Half the size and as accurate, but a CPU unpacks it to float32: no faster, more memory.",
        _FIRST,
        settings={"optimizations": ("DEFAULT",), "supported_types": ("float16",)},
    ),
    "dynamic_wi8_afp32": Recipe(
        "A quarter of the size and fastest on CPUs: int8 weights, inputs quantized as they come.",
        {"LiteRT": "1.0.0", "MediaPipe": "0.10.21"},
        settings={"optimizations": ("DEFAULT",)},
    ),
    "dynamic_wi8_afp32_emb4": Recipe(
        "Small and as fast: embeddings in 4 bits, all else as dynamic_wi8_afp32.",
        {"LiteRT": "1.0.0", "MediaPipe": "1.0.0"},
        "quantizer",
        {"FULLY_CONNECTED": ("dynamic", 8), "EMBEDDING_LOOKUP": ("dynamic", 4)},
    ),
    "dynamic_wi4_afp32": Recipe(
        "Smallest: all weights in 4 bits, one scale a channel. Train it quantization-aware.",
        {"LiteRT": "1.1.2", "MediaPipe": "1.0.0"},
        "quantizer",
        {"FULLY_CONNECTED": ("dynamic", 4), "EMBEDDING_LOOKUP": ("dynamic", 4)},
    ),
    "weight_only_wi8_afp32": Recipe(
        "A quarter of the size and nearly exact, but as slow as float32, which it computes in.",
        {"LiteRT": "1.0.0", "MediaPipe": "0.10.21"},
        "quantizer",
        {"FULLY_CONNECTED": ("weight_only", 8), "EMBEDDING_LOOKUP": ("dynamic", 8)},
    ),
    "static_wi8_ai8": Recipe(
        "For NPUs that compute in int8: ranges of activations are measured on the task's examples.",
        _FIRST,
        "quantizer",
        {"activation_bits": 8},
        static_length=128,
    ),
    "static_wi8_ai16": Recipe(
        "For NPUs that compute in int16: nearer to float32 than int8, very slow on CPUs.",
        {"LiteRT": "1.3.0", "MediaPipe": "0.10.35"},
        "quantizer",
        # A table gathered from in int16 would be twice the size for nothing.
        {"activation_bits": 16, "EMBEDDING_LOOKUP": ("dynamic", 8)},
        static_length=128,
    ),
    "legacy_dynamic_wi8": Recipe(
        "For runtimes from before per-channel scales: int8 weights on one scale each.",
        _FIRST,
        settings={"optimizations": ("DEFAULT",), "per_tensor": True},
    ),
}
# Where a file shall run -> recipe.
TARGETS = {
    "cpu": "dynamic_wi8_afp32",
    "npu-int8": "static_wi8_ai8",
    "npu-int16": "static_wi8_ai16",
    "legacy-2.14": "legacy_dynamic_wi8",
}


def check_recipe(recipe):
    """Checks the name of a recipe.

    Args:
        recipe: str.

    Raises:
        ValueError: If there is no such recipe.
    """
    if recipe not in RECIPES:
        advice = did_you_mean(recipe, RECIPES)
        raise ValueError(f'Unknown recipe "{recipe}".{advice} Recipes: {", ".join(RECIPES)}.')
