"""Training files as they are read, to be written again with more examples in them."""

import json
import pathlib
import re
import warnings

from tinybert_tf.augmentation.augmented_examples import augment_as_released, augment_examples
from tinybert_tf.augmentation.squad_variants import augment_squad, squad_contexts
from tinybert_tf.augmentation.text_words import released_text
from tinybert_tf.augmentation.variants import Variants
from tinybert_tf.data.squad_files import read_squad
from tinybert_tf.data.text_files import check_on_bad_line, read_rows, read_text
from tinybert_tf.short_errors import short_errors, shortened


class TableFile:
    """A file of columns, as `read_examples` reads it, with all its cells.

    Args:
        path: `pathlib.Path` of a .tsv, .txt or .csv file, also .gz.
        text_columns: sequence of one or two str, the names of the columns to vary.
        columns: sequence of str, the names of the columns of a file without a header.
        on_bad_line: "error", or "skip": lines with too few or too many cells are left out and
            counted in a warning.

    Attributes:
        num_examples: int.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such file, lacks a column or has no rows, or a row has too few or
            too many cells.
    """

    @short_errors()
    def __init__(self, path, text_columns, columns=(), on_bad_line="error"):
        check_on_bad_line(on_bad_line)
        rows = read_rows(path)
        header = list(columns) or next(rows, (1, []))[1]
        missing = [name for name in text_columns if name not in header]
        if missing:
            raise ValueError(f'{path} has no column "{missing[0]}". Columns: {", ".join(header)}.')
        self._header = None if columns else header
        self._places = [header.index(name) for name in text_columns]
        self._rows = _whole_rows(path, rows, header, on_bad_line)
        self.num_examples = len(self._rows)

    def texts(self, compat):
        """The texts that candidates are made of, list of str."""
        texts = [text for column in self._columns() for text in column]
        return [*map(released_text, texts)] if compat == "reference" else texts

    def write(self, path, candidates, tally, *, count, probability, seed, compat):
        """Writes the rows, each followed by its variants, tab-separated.

        Args:
            path: path-like.
            candidates: `Candidates` of `texts`.
            tally: `Tally`, to which the rows are added.
            count: int, how many variants to draw of a text.
            probability: float, of a word to be replaced.
            seed: int.
            compat: "paper" or "reference".
        """
        if compat == "reference":
            drawn = (candidates, count, probability, seed)
            examples = augment_as_released(self._columns(), *drawn, tally)
        else:
            drawn = Variants(candidates, probability, seed)
            examples = augment_examples(self._columns(), drawn, count, tally)
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            if self._header:
                file.write(_line(self._header))
            for row, texts in zip(self._rows, examples, strict=True):
                file.writelines(_line(self._with_texts(row, variant)) for variant in texts)

    def _columns(self):
        return [[row[place] for row in self._rows] for place in self._places]

    def _with_texts(self, row, texts):
        row = list(row)
        for place, text in zip(self._places, texts, strict=True):
            row[place] = text
        return row


class SquadFile:
    """A file of SQuAD's questions, of which the contexts are varied.

    Args:
        path: `pathlib.Path` of a JSON file, also .gz.

    Attributes:
        num_examples: int, the number of questions.

    Raises:
        As `read_squad`.
    """

    def __init__(self, path):
        self.num_examples = len(read_squad(path))  # which says what is wrong with it
        self._document = json.loads(read_text(path))

    def texts(self, compat):
        """The contexts; refuses the released program's choices, under which answers get lost."""
        if compat == "reference":
            raise ValueError(
                "The released program does not augment SQuAD: in texts made lower case, answers "
                'are not found again. Leave out compat="reference".'
            )
        return squad_contexts(self._document)

    def write(self, path, candidates, tally, *, count, probability, seed, compat="paper"):
        """Writes the paragraphs, each followed by its variants; see `TableFile.write`."""
        articles = augment_squad(
            self._document, Variants(candidates, probability, seed), count, tally
        )
        rest = {key: value for key, value in self._document.items() if key != "data"}
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(rest, ensure_ascii=False)[:-1] + ", "[: 2 * bool(rest)])
            file.write('"data": [')
            for number, article in enumerate(articles):
                file.write(",\n"[not number :] + json.dumps(article, ensure_ascii=False))
            file.write("]}\n")


def _whole_rows(path, rows, header, on_bad_line):
    """The cells of each row."""
    whole, bad = [], []
    for line, cells in rows:
        if len(cells) == len(header):
            whole.append(cells)
        else:
            found = f"{len(cells)} column{'s'[: len(cells) != 1]}"
            bad.append(f"{path}, line {line}: {found}, expected {len(header)}.")
    if bad and on_bad_line == "error":
        raise ValueError(f"{bad[0]} Skip such lines with --on-bad-line skip.")
    if bad:
        warnings.warn(shortened(f"{len(bad)} bad lines skipped; the first: {bad[0]}"), stacklevel=3)
    if not whole:
        raise ValueError(f"{path} has no rows below the names of its columns.")
    return whole


def _line(cells):
    """A line of a .tsv file; what would end a cell is made a space."""
    return "\t".join(re.sub("[\t\r\n]", " ", cell) for cell in cells) + "\n"


def training_file(path, problem, text_columns, columns=(), on_bad_line="error"):
    """Reads a training file.

    Args:
        path: path-like.
        problem: str, a key of `tinybert_tf.data.PROBLEMS`.
        text_columns: as for `TableFile`, as are `columns` and `on_bad_line`.

    Returns:
        `TableFile` or `SquadFile`.

    Raises:
        ValueError: If the problem is tagging, or as these raise.
    """
    if problem == "tagging":
        raise ValueError("Texts whose words have tags cannot be varied: a tag is of its word.")
    if problem == "spans":
        return SquadFile(pathlib.Path(path))
    return TableFile(pathlib.Path(path), text_columns, columns, on_bad_line)
