"""Small files in the layouts of GLUE, SNLI and SQuAD, and what a reader should find in them."""

import json

from tinybert_tf.data import Examples

_PARSES = ("sentence1_binary_parse", "sentence2_binary_parse", "sentence1_parse", "sentence2_parse")
_STSB = (
    *("index", "genre", "filename", "year", "old_index", "source1", "source2"),
    *("sentence1", "sentence2"),
)
_MNLI = ("index", "promptID", "pairID", "genre", *_PARSES, "sentence1", "sentence2")
_SNLI = ("index", "captionID", "pairID", *_PARSES, "sentence1", "sentence2")
_MRPC = ("#1 ID", "#2 ID", "#1 String", "#2 String")
_PAIR = ("index", "sentence1", "sentence2")
_QNLI = ("index", "question", "sentence")


def _filled(header, first, second, *labels):
    """A row with two texts in the last columns before the labels, and something in the others."""
    return ("7", *("( x )" for _ in header[3:]), first, second, *labels)


def _snli(first, second, label):
    return _filled(_SNLI, first, second, "neutral", label)


def _mnli_dev(first, second, label):
    return _filled(_MNLI, first, second, *["neutral"] * 5, label)


_VOTES = tuple(f"label{number}" for number in range(1, 6))
_MNLI_DEV = (*_MNLI, *_VOTES, "gold_label")

# Name of a file below the root: its rows, that of the columns' names first where it has one.
TABLES = {
    "CoLA/train.tsv": [("gj04", "1", "", 'He said "no".'), ("bc01", "0", "*", "Book the read.")],
    "CoLA/dev.tsv": [("gj04", "0", "*", "Them sing."), ("gj04", "1", "", "They sing.")],
    "CoLA/test.tsv": [("index", "sentence"), ("0", "Bill whistled."), ("1", "Whistled Bill.")],
    "SST-2/train.tsv": [("sentence", "label"), ("fine film ", "1"), ("bleak ", "0")],
    "SST-2/dev.tsv": [("sentence", "label"), ("a joy ", "1")],
    "SST-2/test.tsv": [("index", "sentence"), ("0", "uneasy mishmash")],
    "MRPC/train.tsv": [
        ("Quality", *_MRPC),
        ("1", "11", "12", 'He said "yes".', '"Yes.'),
        ("0", "13", "14", "It fell.", "It rose."),
    ],
    "MRPC/dev.tsv": [("Quality", *_MRPC), ("0", "21", "22", "A.", "B.")],
    "MRPC/test.tsv": [("index", *_MRPC), ("0", "31", "32", "C.", "D.")],
    "STS-B/train.tsv": [
        (*_STSB, "score"),
        ("0", "g", "f", "2012", "1", "none", "none", "A plane.", "An air plane.", "5.000"),
        ("1", "g", "f", "2012", "2", "none", "none", "A dog.", "A cat.", "0.000"),
    ],
    "STS-B/dev.tsv": [
        (*_STSB, "score"),
        ("0", "g", "f", "2012", "3", "none", "none", "A man.", "A woman.", "1.750"),
    ],
    "STS-B/test.tsv": [
        _STSB,
        ("0", "g", "f", "2012", "4", "none", "none", "A girl.", "A child."),
    ],
    "QQP/train.tsv": [
        ("id", "qid1", "qid2", "question1", "question2", "is_duplicate"),
        ("133", "1", "2", 'Why "so"?', "Why so?", "1"),
        ("134", "3", "4", "Who?", "When?", "0"),
    ],
    "QQP/dev.tsv": [
        ("id", "qid1", "qid2", "question1", "question2", "is_duplicate"),
        ("135", "5", "6", "How?", "How come?", "1"),
    ],
    "QQP/test.tsv": [("id", "question1", "question2"), ("0", "Where?", "Where to?")],
    "MNLI/train.tsv": [
        (*_MNLI, "label1", "gold_label"),
        _filled(_MNLI, "It rains.", "It is dry.", "contradiction", "contradiction"),
        _filled(_MNLI, "It pours.", "It rains.", "entailment", "entailment"),
    ],
    "MNLI/dev_matched.tsv": [_MNLI_DEV, _mnli_dev("I eat.", "I eat bread.", "neutral")],
    "MNLI/dev_mismatched.tsv": [_MNLI_DEV, _mnli_dev("I run.", "I move.", "entailment")],
    "MNLI/test_matched.tsv": [_MNLI, _filled(_MNLI, "We ask.", "We know.")],
    "MNLI/test_mismatched.tsv": [_MNLI, _filled(_MNLI, "We go.", "We stay.")],
    "QNLI/train.tsv": [
        (*_QNLI, "label"),
        ("0", "When was it?", "It was in May.", "entailment"),
        ("1", "Who was it?", "It was in May.", "not_entailment"),
    ],
    "QNLI/dev.tsv": [(*_QNLI, "label"), ("0", "Where?", "Then.", "not_entailment")],
    "QNLI/test.tsv": [_QNLI, ("0", "Why?", "Because.")],
    "RTE/train.tsv": [
        (*_PAIR, "label"),
        ("0", "None found.", "Some found.", "not_entailment"),
        ("1", "It rose and fell.", "It rose.", "entailment"),
    ],
    "RTE/dev.tsv": [(*_PAIR, "label"), ("0", "She died.", "She lives.", "not_entailment")],
    "RTE/test.tsv": [_PAIR, ("0", "He came.", "He is here.")],
    "WNLI/train.tsv": [
        (*_PAIR, "label"),
        ("0", "It had a hole.", "The carrot had a hole.", "1"),
        ("1", "It had a point.", "The hole had a point.", "0"),
    ],
    "WNLI/dev.tsv": [(*_PAIR, "label"), ("0", "It is clean.", "The hair is clean.", "0")],
    "WNLI/test.tsv": [_PAIR, ("0", "They sat.", "The dogs sat.")],
    "SNLI/train.tsv": [
        (*_SNLI, "label1", "gold_label"),
        _snli("Two run.", "Two sit.", "contradiction"),
        _snli("Two hug.", "Two kiss.", "-"),
        _snli("Two sing.", "Two make a sound.", "entailment"),
    ],
    "SNLI/dev.tsv": [(*_SNLI, "label1", "gold_label"), _snli("A.", "B.", "neutral")],
    "SNLI/test.tsv": [
        (*_SNLI, "label1", "gold_label"),
        _snli("C.", "D.", "entailment"),
        _snli("E.", "F.", "-"),
    ],
}
_CONTEXT = "It is 5 o'clock in Paris."
_TIME = {
    "id": "t",
    "question": "What time is it?",
    "answers": [{"text": "5 o'clock", "answer_start": 6}, {"text": "5", "answer_start": 6}],
}
_PLACE = {
    "id": "p",
    "question": "Where?",
    "answers": [{"text": "Paris", "answer_start": 19}],
}
_REASON = {
    "id": "r",
    "question": "Why?",
    "answers": [],
    "plausible_answers": [{"text": "5", "answer_start": 6}],
    "is_impossible": True,
}
# Name of a SQuAD file: its questions.
QUESTIONS = {
    "train-v1.1.json": [_TIME],
    "dev-v1.1.json": [_PLACE, _TIME],
    "train-v2.0.json": [_REASON, _TIME | {"is_impossible": False}],
    "dev-v2.0.json": [_PLACE | {"is_impossible": False}, _REASON],
}

# Name of a task: the examples of its splits.
EXAMPLES = {
    "cola": {
        "train": Examples(
            ['He said "no".', "Book the read."], labels=["acceptable", "unacceptable"]
        ),
        "dev": Examples(["Them sing.", "They sing."], labels=["unacceptable", "acceptable"]),
        "test": Examples(["Bill whistled.", "Whistled Bill."]),
    },
    "sst2": {
        "train": Examples(["fine film ", "bleak "], labels=["positive", "negative"]),
        "dev": Examples(["a joy "], labels=["positive"]),
        "test": Examples(["uneasy mishmash"]),
    },
    "mrpc": {
        "train": Examples(
            ['He said "yes".', "It fell."], ['"Yes.', "It rose."], ["equivalent", "not_equivalent"]
        ),
        "dev": Examples(["A."], ["B."], ["not_equivalent"]),
        "test": Examples(["C."], ["D."]),
    },
    "stsb": {
        "train": Examples(["A plane.", "A dog."], ["An air plane.", "A cat."], [5.0, 0.0]),
        "dev": Examples(["A man."], ["A woman."], [1.75]),
        "test": Examples(["A girl."], ["A child."]),
    },
    "qqp": {
        "train": Examples(
            ['Why "so"?', "Who?"], ["Why so?", "When?"], ["duplicate", "not_duplicate"]
        ),
        "dev": Examples(["How?"], ["How come?"], ["duplicate"]),
        "test": Examples(["Where?"], ["Where to?"]),
    },
    "mnli": {
        "train": Examples(
            ["It rains.", "It pours."], ["It is dry.", "It rains."], ["contradiction", "entailment"]
        ),
        "dev": Examples(["I eat."], ["I eat bread."], ["neutral"]),
        "dev_mismatched": Examples(["I run."], ["I move."], ["entailment"]),
        "test": Examples(["We ask."], ["We know."]),
        "test_mismatched": Examples(["We go."], ["We stay."]),
    },
    "qnli": {
        "train": Examples(
            ["When was it?", "Who was it?"],
            ["It was in May."] * 2,
            ["entailment", "not_entailment"],
        ),
        "dev": Examples(["Where?"], ["Then."], ["not_entailment"]),
        "test": Examples(["Why?"], ["Because."]),
    },
    "rte": {
        "train": Examples(
            ["None found.", "It rose and fell."],
            ["Some found.", "It rose."],
            ["not_entailment", "entailment"],
        ),
        "dev": Examples(["She died."], ["She lives."], ["not_entailment"]),
        "test": Examples(["He came."], ["He is here."]),
    },
    "wnli": {
        "train": Examples(
            ["It had a hole.", "It had a point."],
            ["The carrot had a hole.", "The hole had a point."],
            ["entailment", "not_entailment"],
        ),
        "dev": Examples(["It is clean."], ["The hair is clean."], ["not_entailment"]),
        "test": Examples(["They sat."], ["The dogs sat."]),
    },
    "snli": {
        "train": Examples(
            ["Two run.", "Two sing."],
            ["Two sit.", "Two make a sound."],
            ["contradiction", "entailment"],
        ),
        "dev": Examples(["A."], ["B."], ["neutral"]),
        "test": Examples(["C."], ["D."], ["entailment"]),
    },
    "squad_v1": {
        "train": Examples(["What time is it?"], [_CONTEXT], [(("5 o'clock", 6), ("5", 6))], ["t"]),
        "dev": Examples(
            ["Where?", "What time is it?"],
            [_CONTEXT] * 2,
            [(("Paris", 19),), (("5 o'clock", 6), ("5", 6))],
            ["p", "t"],
        ),
    },
    "squad_v2": {
        "train": Examples(
            ["Why?", "What time is it?"],
            [_CONTEXT] * 2,
            [(), (("5 o'clock", 6), ("5", 6))],
            ["r", "t"],
        ),
        "dev": Examples(["Where?", "Why?"], [_CONTEXT] * 2, [(("Paris", 19),), ()], ["p", "r"]),
    },
}


def write_all(root):
    """Writes every file below a folder; returns the folder."""
    for name, rows in TABLES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join("\t".join(row) + "\n" for row in rows), "utf-8")
    (root / "SQuAD").mkdir()
    for name, questions in QUESTIONS.items():
        data = [{"title": "Time", "paragraphs": [{"context": _CONTEXT, "qas": questions}]}]
        (root / "SQuAD" / name).write_text(json.dumps({"version": "1", "data": data}), "utf-8")
    return root
