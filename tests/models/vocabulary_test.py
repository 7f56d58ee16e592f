import dataclasses
import re

import pytest

from tinybert_tf.data.tokenizer import BertTokenizer
from tinybert_tf.models.vocabulary import Vocabulary

TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "##ness")


def written(folder, tokens, end="\n"):
    path = folder / "vocab.txt"
    path.write_bytes(("\n".join(tokens) + end).encode("utf-8"))
    return path


def test_reads_tokens_in_order_of_ids(tmp_path):
    vocabulary = Vocabulary.from_file(written(tmp_path, TOKENS))
    assert vocabulary == Vocabulary(TOKENS, lower_case=True)
    assert len(vocabulary) == 6


def test_special_ids_are_positions():
    vocabulary = Vocabulary(("x", "[SEP]", "[CLS]", "[UNK]", "[PAD]"))
    ids = (vocabulary.sep_id, vocabulary.cls_id, vocabulary.unknown_id, vocabulary.pad_id)
    assert ids == (1, 2, 3, 4)


def test_case_is_part_of_equality():
    assert Vocabulary(TOKENS, lower_case=False) != Vocabulary(TOKENS)
    assert hash(Vocabulary(list(TOKENS))) == hash(Vocabulary(TOKENS))


def test_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Vocabulary(TOKENS).lower_case = False


def test_text_is_the_file(tmp_path):
    path = written(tmp_path, TOKENS)
    assert Vocabulary.from_file(path).to_text().encode() == path.read_bytes()


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_last_line_may_end_in_any_way(tmp_path, end):
    assert Vocabulary.from_file(written(tmp_path, TOKENS, end)).tokens == TOKENS


def test_characters_that_python_takes_for_line_ends_are_tokens(tmp_path):
    tokens = (*TOKENS, "\u2028", "\x85", "\x0b", " ")
    assert Vocabulary.from_file(written(tmp_path, tokens)).tokens == tokens


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="No vocabulary file .*vocab.txt"):
        Vocabulary.from_file(tmp_path / "vocab.txt")


def test_duplicate_token_names_both_lines(tmp_path):
    path = written(tmp_path, (*TOKENS, "good"))
    message = f"{path}, line 7: token 'good' stands at line 5 already"
    with pytest.raises(ValueError, match=re.escape(message)):
        Vocabulary.from_file(path)


def test_missing_special_tokens_are_named(tmp_path):
    path = written(tmp_path, ("[PAD]", "[UNK]", "good"))
    with pytest.raises(ValueError, match=re.escape(f"{path} lacks [CLS], [SEP];")):
        Vocabulary.from_file(path)
    with pytest.raises(ValueError, match=r"The vocabulary lacks \[CLS\], \[SEP\];"):
        Vocabulary(("[PAD]", "[UNK]", "good"))


def test_a_token_with_a_nul_is_refused(tmp_path):
    path = written(tmp_path, (*TOKENS, "a\0b"))
    with pytest.raises(ValueError, match=rf"line {len(TOKENS) + 1}: token 'a\\x00b' holds a NUL"):
        Vocabulary.from_file(path)


def test_a_token_too_long_to_be_looked_up_is_refused(tmp_path):
    path = written(tmp_path, (*TOKENS, "##" + 128 * "é"))
    BertTokenizer(Vocabulary.from_file(path))
    path = written(tmp_path, (*TOKENS, 5000 * "("))
    message = f"{path}, line {len(TOKENS) + 1}: token '{20 * '('}'... has 5000 bytes, expected 256"
    with pytest.raises(ValueError, match=re.escape(message)):
        Vocabulary.from_file(path)


def test_not_utf8(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes(b"[PAD]\n\xff\n")
    with pytest.raises(ValueError, match="vocab.txt is not UTF-8 at byte 6"):
        Vocabulary.from_file(path)


@pytest.mark.parametrize(
    ("token", "lower_case"),
    [("é", True), ("ß", True), ("中", True), ("[MASK]", True), ("<T>", True), ("##É", False)],
)
def test_case_is_seen_in_the_tokens(tmp_path, token, lower_case):
    path = written(tmp_path, (*TOKENS, token))
    assert Vocabulary.from_file(path).lower_case is lower_case
    assert Vocabulary.from_file(path, not lower_case).lower_case is not lower_case


@pytest.mark.parametrize(("count", "lower_case"), [(1, True), (2, False)])
def test_one_token_in_a_hundred_may_have_a_capital(tmp_path, count, lower_case):
    tokens = (*TOKENS[:4], *(chr(0x4E00 + number) for number in range(100 - count)))
    path = written(tmp_path, (*tokens, *"ABC"[:count]))
    assert Vocabulary.from_file(path).lower_case is lower_case
