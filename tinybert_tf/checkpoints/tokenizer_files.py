"""The vocabulary in a Hugging Face folder: vocab.txt or tokenizer.json."""

from tinybert_tf.checkpoints.json_file import read_json
from tinybert_tf.models import Vocabulary
from tinybert_tf.models.vocabulary import is_uncased

# What a BERT's tokenizer does: tokenizer_config.json's key, that of tokenizer.json's normalizer
_LOWER_CASE = ("do_lower_case", "lowercase")
_STRIP_ACCENTS = ("strip_accents", "strip_accents")
_SPLIT_IDEOGRAPHS = ("tokenize_chinese_chars", "handle_chinese_chars")
# What a WordPiece model in tokenizer.json has to say.
_WORD_PIECE = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##"}


def read_vocabulary(folder, limit):
    """The vocabulary of a model's folder.

    Args:
        folder: `pathlib.Path`. `vocab.txt` goes before `tokenizer.json`; whether text is
            lower-cased says `tokenizer_config.json`, else `tokenizer.json`, else whether a token
            has a capital letter.
        limit: int, the tokens that the model has.

    Returns:
        `Vocabulary`, or `None` if there is neither file.

    Raises:
        ValueError: If a file is damaged, the tokenizer does something else than BERT's, or there
            are more tokens than the model has.
    """
    path, tokenizer_path = folder / "vocab.txt", folder / "tokenizer.json"
    tokenizer = read_json(tokenizer_path) if tokenizer_path.is_file() else {}
    if path.is_file():
        tokens = Vocabulary.from_file(path).tokens
    elif tokenizer:
        path, tokens = tokenizer_path, _read_tokens(tokenizer, tokenizer_path)
    else:
        return None
    lower_case = _read_lower_case(folder, tokenizer, tokens)
    if isinstance(limit, int) and len(tokens) > limit:
        raise ValueError(f"{path}: {len(tokens)} tokens, but the model has {limit}.")
    try:
        return Vocabulary(tokens, lower_case)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read_lower_case(folder, tokenizer, tokens):
    """Whether text is lower-cased, after a look at what else is done with it."""
    path = folder / "tokenizer_config.json"
    config = read_json(path) if path.is_file() else {}
    normalizer = tokenizer.get("normalizer")
    normalizer = normalizer if isinstance(normalizer, dict) else {}
    lower_case = _setting(_LOWER_CASE, config, normalizer, path)
    lower_case = is_uncased(tokens) if lower_case is None else lower_case
    if _setting(_STRIP_ACCENTS, config, normalizer, path) not in (None, lower_case):
        raise ValueError(
            f"{path}: `strip_accents` is {not lower_case}, but `do_lower_case` {lower_case}; "
            "accents can only be removed together with capitals."
        )
    if _setting(_SPLIT_IDEOGRAPHS, config, normalizer, path) is False:
        raise ValueError(
            f"{path}: `tokenize_chinese_chars` is false; only tokenizers that take each Chinese "
            "character for a word are supported."
        )
    return lower_case


def _setting(keys, config, normalizer, path):
    """A bool of tokenizer_config.json, else of tokenizer.json, else `None`."""
    for source, key, values in ((path, keys[0], config), (path.parent, keys[1], normalizer)):
        value = values.get(key)
        if value is not None and not isinstance(value, bool):
            raise ValueError(f"{source}: `{key}` is {value!r}, expected true or false.")
        if value is not None:
            return value
    return None


def _read_tokens(tokenizer, path):
    """The tokens of a tokenizer.json in the order of their ids."""
    model, added = tokenizer.get("model"), tokenizer.get("added_tokens") or []
    model = model if isinstance(model, dict) else {}
    for key, expected in _WORD_PIECE.items():
        if model.get(key) != expected:
            raise ValueError(f'{path}: `model.{key}` is {model.get(key)!r}, expected "{expected}".')
    if not isinstance(model.get("vocab"), dict) or not isinstance(added, list):
        raise ValueError(f"{path}: `model.vocab` or `added_tokens` are not what they should be.")
    entries = [(number, token) for token, number in model["vocab"].items()]
    try:
        entries += [(entry["id"], entry["content"]) for entry in added]
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path}: an entry of `added_tokens` lacks id or content.") from error
    return _in_order(entries, path)


def _in_order(entries, path):
    """The tokens of pairs of id and token; an added token may repeat one of the model's."""
    if any(type(number) is not int or type(token) is not str for number, token in entries):
        raise ValueError(f"{path}: an id is no whole number, or a token no text.")
    for number, token in entries:
        if "\n" in token or "\r" in token or not _is_utf8(token):
            raise ValueError(f"{path}: token {token!r} (id {number}) is no line of a vocab.txt.")
    entries = sorted(set(entries))
    for expected, (number, token) in enumerate(entries):
        if number != expected:
            raise ValueError(
                f"{path}: token {token!r} has id {number}, where id {expected} has to follow; each "
                "id from 0 belongs to one token."
            )
    return tuple(token for _, token in entries)


def _is_utf8(text):
    """Whether a text can be written: JSON may hold halves of characters."""
    return text == text.encode("utf-8", "replace").decode("utf-8")
