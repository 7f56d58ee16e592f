"""The shape of a BERT, and the shapes the papers use."""

import dataclasses

ACTIVATIONS = ("gelu", "gelu_tanh", "relu")
POOLERS = ("tanh", "relu", "none")


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """Shape of a BERT encoder.

    Args:
        vocabulary_size: int, number of word-pieces.
        num_layers: int, number of Transformer layers.
        hidden_dim: int, width of the hidden states.
        num_heads: int, attention heads a layer; must divide `hidden_dim`.
        intermediate_dim: int, width of the feed-forward layer.
        max_sequence_length: int, number of learned positions.
        num_segments: int, number of segment (token type) embeddings.
        layer_norm_epsilon: float, added to the variance in layer normalisation.
        dropout: float in [0, 1), rate on hidden states.
        attention_dropout: float in [0, 1), rate on attention probabilities.
        activation: "gelu" (exact, by erf), "gelu_tanh" (its approximation) or "relu".
        initializer_range: float, standard deviation of the initial weights.
        pooler: "tanh", "relu" (DistilBERT's classifiers) or "none": the activation of the dense
            layer on the first token's last hidden state, if there is one.

    Raises:
        ValueError: If a size is not a positive integer, `num_heads` does not divide `hidden_dim`, a
            dropout rate is outside [0, 1), the epsilon or the initial deviation outside (0, 1) or
            the activation or the pooler is unknown.

    Reference:
        Devlin et al. 2019, section 3 (BERT-base); Jiao et al. 2020, section 4.1 (TinyBERT-4, -6).
    """

    vocabulary_size: int = 30522
    num_layers: int = 12
    hidden_dim: int = 768
    num_heads: int = 12
    intermediate_dim: int = 3072
    max_sequence_length: int = 512
    num_segments: int = 2
    layer_norm_epsilon: float = 1e-12
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation: str = "gelu"
    initializer_range: float = 0.02
    pooler: str = "tanh"

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is int and not (type(value) is int and value > 0):
                raise ValueError(f"`{field.name}` is {value!r}, expected a positive integer.")
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"`{name}` is {getattr(self, name)!r}, expected 0 <= rate < 1.")
        for name in ("layer_norm_epsilon", "initializer_range"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"`{name}` is {getattr(self, name)!r}, expected 0 < value < 1.")
        if self.hidden_dim % self.num_heads:
            raise ValueError(
                f"`hidden_dim` {self.hidden_dim} is not a multiple of `num_heads` {self.num_heads}."
            )
        for name, choices in (("activation", ACTIVATIONS), ("pooler", POOLERS)):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"`{name}` is {getattr(self, name)!r}, expected one of {', '.join(choices)}."
                )


PRESETS = {
    "bert_base_uncased": BertConfig(),
    "tinybert_4l_312d": BertConfig(num_layers=4, hidden_dim=312, intermediate_dim=1200),
    "tinybert_6l_768d": BertConfig(num_layers=6),
    "minilm_6l_384d": BertConfig(num_layers=6, hidden_dim=384, intermediate_dim=1536),
    "bert_tiny": BertConfig(num_layers=2, hidden_dim=128, num_heads=2, intermediate_dim=512),
}


def preset_config(name, vocabulary=None):
    """The `BertConfig` of a preset, with the vocabulary's size.

    Args:
        name: str, a key of `PRESETS`.
        vocabulary: `Vocabulary` or `None` (the preset's own 30522).

    Raises:
        ValueError: If there is no such preset.
    """
    if name not in PRESETS:
        raise ValueError(f'Unknown preset "{name}". Presets: {", ".join(PRESETS)}.')
    if vocabulary is None:
        return PRESETS[name]
    return dataclasses.replace(PRESETS[name], vocabulary_size=len(vocabulary))
