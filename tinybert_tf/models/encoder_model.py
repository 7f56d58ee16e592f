"""What all models on a BERT encoder have in common."""

import keras

from tinybert_tf.models.bert_config import preset_config
from tinybert_tf.models.bert_encoder import BertEncoder, restore_config


class EncoderModel(keras.Model):
    """A BERT encoder with something on it; subclasses say what.

    Args:
        config: `BertConfig` of the encoder.
        vocabulary: `Vocabulary`, or `None` where it is not known.
        dtype: a Keras dtype policy.
        name: str, name of the model.
    """

    def __init__(self, config, vocabulary=None, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        config = self.fitting_config(config)
        self.encoder = BertEncoder(config, vocabulary, dtype=self.dtype_policy, name="encoder")
        self.built = True

    @classmethod
    def fitting_config(cls, config):
        """The encoder's config with the pooler that this model needs, or without one."""
        return config

    @property
    def config(self):
        """The encoder's `BertConfig`."""
        return self.encoder.config

    @property
    def vocabulary(self):
        """The encoder's `Vocabulary`, or `None`."""
        return self.encoder.vocabulary

    @classmethod
    def from_preset(cls, name, vocabulary=None, **kwargs):
        """A model of a preset's shape with random weights; see `PRESETS`.

        Args:
            name: str, a key of `PRESETS`.
            vocabulary: `Vocabulary`, whose size the model takes, or `None`.
            **kwargs: as in the constructor.
        """
        return cls(preset_config(name, vocabulary), vocabulary=vocabulary, **kwargs)

    @classmethod
    def from_encoder(cls, encoder, **kwargs):
        """A model with an encoder's weights under a new head.

        A pooler that the head needs and the encoder lacks starts at random.

        Args:
            encoder: `BertEncoder`, or a model with a head, which is left behind.
            **kwargs: as in the constructor.
        """
        encoder = getattr(encoder, "encoder", encoder)
        kwargs.setdefault("dtype", encoder.dtype_policy)
        model = cls(encoder.config, vocabulary=encoder.vocabulary, **kwargs)
        model.encoder.copy_weights(encoder)
        return model

    def build_from_config(self, config):
        """Does nothing: the constructor has made every weight."""

    def get_config(self):
        return {**self.encoder.get_config(), "name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**restore_config(config))
