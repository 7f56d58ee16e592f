"""Sentences to token ids where there is no TensorFlow; needs the package `tokenizers`."""


class WordPieces:
    """The tokenizer that a .tflite file was trained with, made from the vocabulary inside it.

    Gives the token ids of `tinybert_tf.data.BertTokenizer`, without TensorFlow.

    Args:
        model: `EdgeModel` of a file that holds its vocabulary.

    Raises:
        ValueError: If the file holds no vocabulary.
        ImportError: If the package `tokenizers` is not installed.

    Example:
        WordPieces(EdgeModel("sst2.tflite")).encode("a fine film")  # [101, 1037, 2986, 2143, 102]
    """

    def __init__(self, model):
        if model.vocabulary_text is None:
            raise ValueError(
                f"{model.path} holds no vocabulary, so it cannot read text. "
                "Export it with `tinybert-tf export`."
            )
        tokens = model.vocabulary_text.removesuffix("\n").split("\n")
        ids = {token: index for index, token in enumerate(tokens)}
        self._first, self._last = ids["[CLS]"], ids["[SEP]"]
        self._most = model.settings["max_sequence_length"] - 2
        self._tokenizer = _make_tokenizer(ids, model.settings["lower_case"])

    def encode(self, sentence):
        """Turns a sentence into [CLS] sentence [SEP], cut to what the model takes.

        Args:
            sentence: str.

        Returns:
            List of int, token ids.
        """
        ids = self._tokenizer.encode(sentence, add_special_tokens=False).ids
        return [self._first, *ids[: self._most], self._last]


def _make_tokenizer(ids, lower_case):
    try:
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    except ModuleNotFoundError as error:
        raise ImportError(
            "Texts are read with the package tokenizers, which is not installed: "
            "pip install tokenizers"
        ) from error
    tokenizer = Tokenizer(
        models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100),
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower_case)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer
