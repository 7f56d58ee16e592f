"""What of a student is quantized, for each recipe that a student can be trained for."""

import dataclasses
from collections.abc import Mapping

from tinybert_tf.suggestions import did_you_mean


@dataclasses.dataclass(frozen=True)
class QuantizationScheme:
    """How the numbers of a quantized file are kept.

    Args:
        grids: mapping of a variable's name, as Keras' layers name it, to the bits and the axis of
            its grid; see `fake_quantize`. Other variables stay float32.
        ranged: names of variables that are int8 between their least and greatest value, as
            activations are; see `round_to_range`.
        learns_scales: bool, whether training may end grids before the largest weight: with few
            bits a rare large weight costs too much.
        rounds_activations: bool, whether all activations are int8 too, in fixed ranges.
    """

    grids: Mapping
    ranged: tuple[str, ...] = ()
    learns_scales: bool = False
    rounds_activations: bool = False


_PER_OUTPUT, _PER_ROW, _PER_TENSOR = 0, 1, None
_TABLES = ("embeddings", "position_embedding")


def _grids(kernel_bits, table_bits, axis):
    return {"kernel": (kernel_bits, _PER_OUTPUT), **dict.fromkeys(_TABLES, (table_bits, axis))}


# Export recipe -> what training has to expect of it.
SCHEMES = {
    "dynamic_wi8_afp32": QuantizationScheme(_grids(8, 8, _PER_TENSOR)),
    "dynamic_wi8_afp32_emb4": QuantizationScheme(_grids(8, 4, _PER_ROW), learns_scales=True),
    "dynamic_wi4_afp32": QuantizationScheme(_grids(4, 4, _PER_ROW), learns_scales=True),
    "static_wi8_ai8": QuantizationScheme(
        {"kernel": (8, _PER_OUTPUT)}, (*_TABLES, "gamma", "beta"), rounds_activations=True
    ),
}


def scheme_of(recipe):
    """The `QuantizationScheme` of an export recipe.

    Raises:
        ValueError: If students cannot be trained for the recipe.
    """
    if recipe not in SCHEMES:
        raise ValueError(
            f'Cannot train a student for the recipe "{recipe}".{did_you_mean(recipe, SCHEMES)} '
            f"Recipes to train for: {', '.join(SCHEMES)}."
        )
    return SCHEMES[recipe]
