"""Students that learn with the numbers that their quantized files will have."""

from tinybert_tf.quantization.activation_ranges import ActivationRanges
from tinybert_tf.quantization.quantized_student import QuantizedStudent, on_grid
from tinybert_tf.quantization.schemes import SCHEMES, QuantizationScheme, scheme_of
from tinybert_tf.quantization.weight_grids import best_ratio, fake_quantize

__all__ = [
    "SCHEMES",
    "ActivationRanges",
    "QuantizationScheme",
    "QuantizedStudent",
    "best_ratio",
    "fake_quantize",
    "on_grid",
    "scheme_of",
]
