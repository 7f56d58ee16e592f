"""Reads tagged words, one a line as in CoNLL's files; every error says in which file and line."""

import pathlib

from tinybert_tf.data.examples import Examples
from tinybert_tf.data.text_files import read_text
from tinybert_tf.short_errors import short_errors

_KINDS = (".txt", ".conll", ".tsv")
_BLANKS = " \t\r"


@short_errors()
def read_tags(path, to_label=str, tagged=True):
    """Reads a file with a word and its tag on each line and an empty line after each sentence.

    Tabs separate the columns of a line, or else spaces. The first is the word, the last the tag;
    those between do not count. Lines that begin with -DOCSTART- only end a sentence.

    Args:
        path: str or path-like, a `.txt`, `.conll` or `.tsv` file, also compressed (`.gz`).
        to_label: function from a tag (str) to a label; the `ValueError` it raises gets the file
            and line in front.
        tagged: bool, False for a file whose words may have no tags; those there are left out.

    Returns:
        `Examples`: `texts` are the words of each sentence joined by single spaces, each label the
        tuple of their tags; `labels` is `None` without `tagged`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is of another kind, is not UTF-8 or has no words, or if a line
            lacks its word or tag, has one with a space inside, or has a label that is refused.

    Example:
        read_tags("train.conll")
    """
    path = pathlib.Path(path)
    if not path.name.removesuffix(".gz").endswith(_KINDS):
        raise ValueError(
            f"{path}: unknown kind of file, expected {', '.join(_KINDS)}, or one of them with .gz."
        )
    sentences = [[]]
    for number, line in enumerate(read_text(path).split("\n"), 1):
        word, tag = _word_and_tag(line, f"{path}, line {number}", to_label, tagged)
        if word is not None:
            sentences[-1].append((word, tag))
        elif sentences[-1]:
            sentences.append([])
    columns = [tuple(zip(*sentence, strict=True)) for sentence in sentences if sentence]
    if not columns:
        raise ValueError(f"{path} has no words, expected a word and its tag on each line.")
    texts = [" ".join(words) for words, _ in columns]
    return Examples(texts, labels=[tags for _, tags in columns] if tagged else None)


def _word_and_tag(line, place, to_label, tagged):
    """Returns the word and the label of a line, or twice `None` where a sentence ends."""
    cells = line.split("\t") if "\t" in line else filter(None, line.strip(_BLANKS).split(" "))
    cells = [cell.strip(_BLANKS) for cell in cells]
    if not any(cells) or cells[0] == "-DOCSTART-":
        return None, None
    word, tag = cells[0], cells[-1] if tagged else "O"
    if tagged and len(cells) < 2:
        raise ValueError(f'{place}: "{word}" stands alone, expected a word and its tag.')
    if not word or not tag or " " in word + tag:
        raise ValueError(
            f'{place}: word "{word}" and tag "{tag}", expected both, without spaces inside.'
        )
    try:
        return word, to_label(tag) if tagged else tag
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
