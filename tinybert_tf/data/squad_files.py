"""Reads questions from SQuAD's JSON; every error says in which file and where in it."""

import json
import pathlib

from tinybert_tf.data.examples import Examples
from tinybert_tf.data.text_files import read_text
from tinybert_tf.short_errors import short_errors

_KINDS = {
    bool: "true or false",
    dict: "an object",
    float: "a number",
    int: "a whole number",
    list: "a list",
    str: "a text",
    type(None): "null",
}
_REQUIRED = object()


@short_errors()
def read_squad(path):
    """Reads a file in the layout of SQuAD 1.1 or 2.0.

    Args:
        path: str or path-like, a JSON file, or one compressed (`.json.gz`).

    Returns:
        `Examples`: questions as `texts`, contexts as `text_pairs`, for each question a tuple of
        `(answer text, first character in the context)` pairs as label, empty where the question
        is impossible to answer, and the question ids. Labels are `None` where no question of the
        file says its answers.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON, lacks a part or has one of the wrong kind, holds no
            question or two of one id, or if an answer does not stand where it says.

    Example:
        read_squad("dev-v1.1.json")

    Reference:
        Rajpurkar et al. 2016 and 2018.
    """
    path = pathlib.Path(path)
    questions = [
        (question, paragraph.get("context", str))
        for article in _document(path).entries("data")
        for paragraph in article.entries("paragraphs")
        for question in paragraph.entries("qas")
    ]
    if not questions:
        raise ValueError(f"{path} holds no questions.")
    answered = any("answers" in question.value for question, _ in questions)
    return Examples(
        texts=[question.get("question", str) for question, _ in questions],
        text_pairs=[context for _, context in questions],
        labels=[_answers(*question) for question in questions] if answered else None,
        ids=_ids(question for question, _ in questions),
    )


class _Place:
    """An object in a JSON document, and where it stands.

    Args:
        value: dict, what the object holds.
        path: path of the file.
        inside: str, the way to the object from the top, such as "data[3].paragraphs[0]".
    """

    def __init__(self, value, path, inside=""):
        self.value, self.path, self.inside = value, path, inside
        if type(value) is not dict:
            raise self.error(f"found {_KINDS[type(value)]}, expected an object")

    def get(self, key, kind, default=_REQUIRED):
        """Returns what stands under a key, having checked that it is of a kind, a Python type."""
        value = self.value.get(key, default)
        if value is _REQUIRED:
            raise self.error(f'"{key}" is missing')
        if type(value) is not kind:
            raise self.error(f'"{key}" is {_KINDS[type(value)]}, expected {_KINDS[kind]}')
        if kind is str and not _is_unicode(value):
            raise self.error(f'"{key}" holds half of a surrogate pair, which is no character')
        return value

    def entries(self, key):
        """Returns the objects in the list under a key, each a `_Place`."""
        way = f"{self.inside}.{key}" if self.inside else key
        return [
            _Place(value, self.path, f"{way}[{index}]")
            for index, value in enumerate(self.get(key, list))
        ]

    def error(self, message):
        """Returns the `ValueError` that says what is wrong here."""
        where = f"{self.path}, {self.inside}" if self.inside else f"{self.path}"
        name = self.value.get("id") if type(self.value) is dict else None
        question = f' (question "{name}")' if type(name) is str else ""
        return ValueError(f"{where}{question}: {message}.")


def _document(path):
    text = read_text(path)
    try:
        return _Place(json.loads(text), path)
    except ValueError as error:  # no JSON, or a number of thousands of digits
        raise ValueError(f"{path}: not JSON: {error}.") from error
    except RecursionError as error:
        raise ValueError(f"{path}: lists or objects stand too deep inside one another.") from error


def _answers(question, context):
    """Returns the label of a question."""
    impossible = question.get("is_impossible", bool, default=False)
    if impossible:
        return ()
    answers = tuple(_answer(question, answer, context) for answer in question.entries("answers"))
    if not answers and "is_impossible" in question.value:
        raise question.error('"answers" is empty, though "is_impossible" is false')
    return answers


def _answer(question, answer, context):
    text, start = answer.get("text", str), answer.get("answer_start", int)
    found = context[start : start + len(text)] if start >= 0 else ""
    if not text or found != text:
        raise question.error(
            f"the answer {_shortened(text)} is said to start at character {start}, where the "
            f"context of {len(context)} characters has {_shortened(found)}"
        )
    return text, start


def _ids(questions):
    places = {}
    for question in questions:
        kind = int if type(question.value.get("id")) is int else str  # some files number them
        name = str(question.get("id", kind))
        if name in places:
            raise question.error(f"its id is also that of {places[name].inside}")
        places[name] = question
    return list(places)


def _is_unicode(text):
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _shortened(text):
    return repr(text if len(text) <= 50 else text[:47] + "...")
