"""Damaged files of examples in every layout, and what a reader may make of them."""

import dataclasses
import functools
import gzip
import json
import warnings
from collections.abc import Callable

from fuzz.mutations import damage_bytes, damage_json

from tinybert_tf.data import read_examples, read_squad, read_tags, task


@dataclasses.dataclass(frozen=True)
class Layout:
    """One kind of file.

    Args:
        files: dict of name to bytes.
        read: function from a folder, a function that finds a file in it and the way of bad lines
            to a list of pairs of a problem and `Examples`.
    """

    files: dict
    read: Callable


# Task: (file's name without the split, columns, three rows); as GLUE's files have them.
GLUE = {
    "cola": ("", ["gj04\t1\t\tA fine film.", "gj04\t0\t*\tBleak it."]),
    "sst2": ("sentence\tlabel", ["a fine film \t1", "it 's bleak \t0"]),
    "mrpc": (
        "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String",
        ['1\t702876\t702977\tAmrozi "the witness" , said\tReferring to him', "0\t2\t3\tb\tc"],
    ),
    "stsb": (
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
        ["0\tnews\tMSRvid\t2012\t1\tnone\tnone\tA plane.\tA jet.\t5.000", "1" + "\ta" * 8 + "\t0"],
    ),
    "qqp": (
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
        ["133\t2\t3\tHow is Zürich?\tWhat is 中文?\t0", "4\t5\t6\ta\tb\t1"],
    ),
    "mnli": (
        "index\tpairID\tgenre\tsentence1\tsentence2\tlabel1\tgold_label",
        ["0\t1n\ttravel\tOne hand.\tTwo.\tneutral\tneutral", "1\t2e\ta\tb\tc\t-\t-"],
    ),
    "qnli": ("index\tquestion\tsentence\tlabel", ["0\tWhat?\tThat.\tentailment"] * 2),
    "rte": ("index\tsentence1\tsentence2\tlabel", ["0\tA.\tB.\tnot_entailment"] * 2),
    "wnli": ("index\tsentence1\tsentence2\tlabel", ["0\tA.\tB.\t1", "1\tC\tD\t0"]),
    "snli": ("gold_label\tsentence1\tsentence2", ["neutral\tA.\tB.", "-\tC\tD"]),
}
CSV = 'id,text,other,label,topics\n1,"He said ""no"", twice",b,no,"a,b"\n2,"two\nlines",c,yes,\n'
SCORES = "text\tscore\na\t0.5\nb\t-1e3\n"
SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "Café",
            "paragraphs": [
                {
                    "context": "The Café in Zürich opened in 1999. 中文 words stand here too.",
                    "qas": [
                        {
                            "id": "56be",
                            "question": "When did it open?",
                            "answers": [{"text": "1999", "answer_start": 29}],
                            "is_impossible": False,
                        },
                        {
                            "id": "56bf",
                            "question": "Who?",
                            "answers": [],
                            "plausible_answers": [{"text": "Café", "answer_start": 4}],
                            "is_impossible": True,
                        },
                    ],
                }
            ],
        }
    ],
}
TAGS = "-DOCSTART- -X- O O\n\nEU NNP I-NP B-ORG\nrejects VBZ I-VP O\n中文 X X O\n\nPeter\tB-PER\n"
TRAIN, DEV, TEST = "train", "dev", "test"


def _glue(name):
    header, rows = GLUE[name]
    text = "\n".join([header, *rows] if header else rows) + "\n"
    names = [f"{split}_matched" if name == "mnli" and split != TRAIN else split for split in _ALL]

    def read(folder, find, bad):
        made = task(name, data_dir=folder, on_bad_line=bad)
        return [(made.problem, made.examples(split)) for split in _ALL]

    return Layout({f"{split}.tsv": text.encode() for split in names}, read)


_ALL = (TRAIN, DEV, TEST)


def _own(ending, content, problem, **columns):
    def read(folder, find, bad):
        paths = {split: find(split) for split in _ALL}
        made = task(problem=problem, on_bad_line=bad, **paths, **columns)
        return [(problem, made.examples(split)) for split in _ALL]

    return Layout({f"{split}{ending}": content for split in _ALL}, read)


def _alone(name, content, problem, reader):
    def read(folder, find, bad):
        return [(problem, reader(find(name.split(".")[0]), bad))]

    return Layout({name: content}, read)


def _named_squad(version):
    def read(folder, find, bad):
        made = task(f"squad_{version[:2]}", data_dir=folder)
        return [("spans", made.examples(split)) for split in (TRAIN, DEV)]

    content = json.dumps(SQUAD).encode()
    return Layout({f"{split}-{version}.json": content for split in (TRAIN, DEV)}, read)


@functools.cache
def layouts():
    """The undamaged files: name to `Layout`."""
    squad, csv, tags = json.dumps(SQUAD, ensure_ascii=False).encode(), CSV.encode(), TAGS.encode()
    texts = {"text_column": "text"}
    return {
        **{name: _glue(name) for name in GLUE},
        "classes": _own(".csv", csv, "classification", **texts),
        "pairs": _own(".csv", csv, "classification", text_pair_column="other", **texts),
        "topics": _own(".csv", csv, "multilabel", label_column="topics", **texts),
        "scores": _own(".tsv", SCORES.encode(), "regression", label_column="score", **texts),
        "texts": _alone(
            "rows.txt",
            SCORES.encode(),
            "none",
            lambda path, bad: read_examples(path, "text", label_column="score", on_bad_line=bad),
        ),
        "squad_v1": _named_squad("v1.1"),
        "squad_v2": _named_squad("v2.0"),
        "squad": _alone("questions.json", squad, "spans", lambda path, bad: read_squad(path)),
        "spans": _own(".json", squad, "spans"),
        "tags": _alone("words.conll", tags, "tagging", lambda path, bad: read_tags(path)),
        "tagging": _own(".txt", tags, "tagging"),
    }


def make_case(folder, random, canary):
    """Writes damaged files into a folder.

    Args:
        folder: `pathlib.Path`, which is there and empty.
        random: `random.Random`.
        canary: not used; data files are not programs.

    Returns:
        A str, the name of the layout, what was damaged behind a colon.
    """
    name = random.choice(sorted(layouts()))
    files = dict(layouts()[name].files)
    path = random.choice(sorted(files))
    others = [content for layout in layouts().values() for content in layout.files.values()]
    damage = damage_json if path.endswith(".json") and random.random() < 0.7 else damage_bytes
    for _ in range(random.choice((0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 4))):
        files[path] = damage(files[path], random, random.choice(others))
    packed = random.random() < 0.25
    if packed:
        content = bomb() if random.random() < 0.02 else gzip.compress(files.pop(path), 1, mtime=0)
        files.pop(path, None)
        broken = random.random() < 0.5
        path = f"{path}.gz"
        files[path] = damage_bytes(content, random, content) if broken else content
    for other, content in files.items():
        (folder / other).write_bytes(content)
    return f"{name}: {path}"


@functools.cache
def bomb():
    """A gzip file of a megabyte that holds more than one gigabyte."""
    return gzip.compress(b"a\t" * 2**25, 9, mtime=0) * 20


class Reader:
    """Reads the files of a case and holds what comes to what `Examples` promises."""

    def __call__(self, folder, name, random):
        """Reads.

        Raises:
            ValueError: If a file is refused.
            OSError: If one is missing.
            AssertionError: If the examples are not what they have to be.
        """
        layout = layouts()[name.partition(":")[0]]
        bad = random.choice(("error", "error", "skip"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for problem, examples in layout.read(folder, lambda name: _find(folder, name), bad):
                _check_examples(problem, examples)


def _find(folder, name):
    return next(path for path in sorted(folder.iterdir()) if path.name.split(".")[0] == name)


def _check_examples(problem, examples):
    """Raises AssertionError where examples of a problem are impossible."""
    texts = [*examples.texts, *(examples.text_pairs or ()), *(examples.ids or ())]
    if not texts or not all(type(text) is str for text in texts):
        raise AssertionError("A text is no text.")
    if any(text != text.encode("utf-8", "replace").decode("utf-8") for text in texts):
        raise AssertionError("A text cannot be written as UTF-8.")
    rows = zip(
        examples.texts, examples.text_pairs or examples.texts, examples.labels or (), strict=False
    )
    for text, other, label in rows:
        if not _FITS.get(problem, lambda *_: True)(text, other, label):
            raise AssertionError(f"The label {label!r} does not go with {text!r}.")


# Problem: whether a label goes with a text and its second text
_FITS = {
    "classification": lambda text, other, label: type(label) is str,
    "multilabel": lambda text, other, label: all(type(name) is str for name in label),
    "regression": lambda text, other, label: -1e400 < label < 1e400,
    "spans": lambda text, other, label: all(
        words and other[start : start + len(words)] == words for words, start in label
    ),
    "tagging": lambda text, other, label: len(text.split(" ")) == len(label) and all(label),
}
