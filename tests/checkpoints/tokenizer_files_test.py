"""The vocabulary of a folder: its tokens, and whether it knows capitals."""

import json

import pytest

from tinybert_tf.checkpoints.tokenizer_files import read_vocabulary

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
TOKENS = (*SPECIAL, "[unused0]", "<S>", "good", "##ness", "é")


def write_tokenizer(folder, vocab=None, added=(), normalizer=None, **model):
    vocab = {token: index for index, token in enumerate(TOKENS)} if vocab is None else vocab
    word_piece = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##"}
    content = {"model": word_piece | {"vocab": vocab} | model, "added_tokens": added}
    (folder / "tokenizer.json").write_text(json.dumps(content | {"normalizer": normalizer}))


def write_vocab(folder, *tokens):
    (folder / "vocab.txt").write_text("\n".join((*TOKENS, *tokens)) + "\n", "utf-8")


def write_settings(folder, **settings):
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def test_no_vocabulary(tmp_path):
    write_settings(tmp_path, do_lower_case=True)
    assert read_vocabulary(tmp_path, 100) is None


def test_tokens_of_either_file(tmp_path):
    write_tokenizer(tmp_path)
    assert read_vocabulary(tmp_path, 100).tokens == TOKENS
    write_vocab(tmp_path, "more")
    assert read_vocabulary(tmp_path, 100).tokens == (*TOKENS, "more")


def test_added_tokens(tmp_path):
    added = [{"id": 9, "content": "new"}, {"id": 0, "content": "[PAD]", "special": True}]
    write_tokenizer(tmp_path, added=added)
    assert read_vocabulary(tmp_path, 100).tokens == (*TOKENS, "new")


@pytest.mark.parametrize(
    ("settings", "normalizer", "more", "lower_case"),
    [
        ({"do_lower_case": False}, {"lowercase": True}, (), False),
        ({"do_lower_case": True}, {"lowercase": False}, ("Good",), True),
        ({}, {"lowercase": False}, (), False),
        ({}, {"lowercase": True}, ("Good",), True),
        ({}, None, (), True),
        ({}, None, ("Good",), False),
        ({}, None, ("##É",), False),
        ({"strip_accents": None, "tokenize_chinese_chars": True}, None, (), True),
        ({"strip_accents": False}, None, ("Good",), False),
        ({"strip_accents": True, "do_lower_case": True}, None, (), True),
    ],
)
def test_case(tmp_path, settings, normalizer, more, lower_case):
    write_settings(tmp_path, **settings)
    write_tokenizer(tmp_path, normalizer=normalizer)
    write_vocab(tmp_path, *more)
    assert read_vocabulary(tmp_path, 100).lower_case is lower_case


@pytest.mark.parametrize(
    ("settings", "normalizer", "message"),
    [
        (
            {"do_lower_case": 1},
            None,
            r"tokenizer_config\.json: `do_lower_case` is 1, expected true",
        ),
        ({}, {"lowercase": "no"}, "`lowercase` is 'no', expected true or false"),
        ({"strip_accents": False}, None, "`strip_accents` is False, but `do_lower_case` True"),
        ({"do_lower_case": False}, {"strip_accents": True}, "`strip_accents` is True, but"),
        ({"tokenize_chinese_chars": False}, None, "`tokenize_chinese_chars` is false; only"),
        ({}, {"handle_chinese_chars": False}, "`tokenize_chinese_chars` is false; only"),
    ],
)
def test_other_tokenizers(tmp_path, settings, normalizer, message):
    write_settings(tmp_path, **settings)
    write_tokenizer(tmp_path, normalizer=normalizer)
    with pytest.raises(ValueError, match=message):
        read_vocabulary(tmp_path, 100)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "BPE"}, "`model.type` is 'BPE', expected \"WordPiece\""),
        ({"unk_token": "<unk>"}, "`model.unk_token` is '<unk>'"),
        ({"continuing_subword_prefix": ""}, "`model.continuing_subword_prefix` is ''"),
        ({"vocab": ["a"]}, "`model.vocab` or `added_tokens` are not"),
        ({"vocab": {"[PAD]": 0, "a": 2}}, "token 'a' has id 2, where id 1 has to follow"),
        ({"vocab": {"[PAD]": 0, "a": 0}}, "token 'a' has id 0, where id 1 has to follow"),
        ({"vocab": {"[PAD]": 0, "a\nb": 1}}, r"token 'a.nb' \(id 1\) is no line of a vocab.txt"),
        ({"vocab": {"[PAD]": 0, "\ud800": 1}}, r"token '.ud800' \(id 1\) is no line"),
        ({"vocab": {"[PAD]": -1}}, "token '.PAD.' has id -1"),
        ({"vocab": {"[PAD]": "0"}}, "an id is no whole number"),
        ({"vocab": {"[PAD]": False}}, "an id is no whole number"),
        ({"vocab": {"[PAD]": 0}}, r"lacks \[UNK\], \[CLS\], \[SEP\]"),
        ({"added": {"a": 1}}, "`model.vocab` or `added_tokens` are not"),
        ({"added": [{"id": 9}]}, "an entry of `added_tokens` lacks id or content"),
        ({"added": [3]}, "an entry of `added_tokens` lacks id or content"),
        ({"added": [{"id": 9, "content": "good"}]}, "token 'good' stands at token 6 already"),
        ({"added": [{"id": 9, "content": ["x"]}]}, "a token no text"),
    ],
)
def test_tokenizer_json_of_other_models(tmp_path, changes, message):
    write_tokenizer(tmp_path, **changes)
    with pytest.raises(ValueError, match=rf"tokenizer\.json: .*{message}"):
        read_vocabulary(tmp_path, 100)


def test_more_tokens_than_the_model_has(tmp_path):
    write_tokenizer(tmp_path)
    assert read_vocabulary(tmp_path, 9)
    with pytest.raises(ValueError, match=r"tokenizer\.json: 9 tokens, but the model has 8"):
        read_vocabulary(tmp_path, 8)


def test_vocabulary_as_large_as_the_multilingual_one(tmp_path):
    tokens = [f"Ж{number}" for number in range(119_547 - len(TOKENS))]
    write_tokenizer(tmp_path, {token: index for index, token in enumerate((*TOKENS, *tokens))})
    vocabulary = read_vocabulary(tmp_path, 119_547)
    assert (len(vocabulary), vocabulary.lower_case) == (119_547, False)
