"""Writes squad_scores.json.gz: how SQuAD's evaluation programs score generated answers.

    make goldens

runs this with tf-models-official, whose `official.nlp.tools` holds both programs as published.

The file holds two lists, "v1" and "v2", of questions: true answers, predicted answer, whether they
match exactly and their F1, each 0 to 1.
"""

import gzip
import json
import pathlib
import random

from official.nlp.tools import squad_evaluate_v1_1, squad_evaluate_v2_0

QUESTIONS = 1_000
PIECES = (
    *("Denver", "denver", "Broncos", "42", "1,000", "$5", "3.14", "U.S.", "don't", "co-op", "a_b"),
    *("a", "an", "the", "The", "AN", "A.", "(the)", "the-end", "theory", "a’s", "thé", "an\u200b"),
    *(".", "...", "—", "’", "“x”", "。", "¿", "?!", "%", "\\", '"', "'s"),
    *("naïve", "nai\u0308ve", "İzmir", "STRASSE", "straße", "Σίσυφος", "日本", "한국", "ﬁn", "½"),
    *("None", "nan", "null", "no", "[SEP]", "😀", "\x00", "\u00ad"),
)
SPACES = (" ", " ", " ", "", "  ", "\t", "\n", "\u00a0", "\u2003", "\u3000")


def make_text(chance):
    """Returns a few pieces with something between them."""
    count = chance.choice((0, 1, 1, 2, 2, 3, 5))
    return "".join(chance.choice(PIECES) + chance.choice(SPACES) for _ in range(count))


def make_prediction(chance, answers):
    """Returns an answer unlike, like, or equal to one of the true ones."""
    text = chance.choice(answers or [""])
    changed = (text, text.upper(), f"the {text}!", text[:-1], text.replace(" ", " a "), text * 2)
    return chance.choice((*changed, make_text(chance), text + make_text(chance), ""))


def make_question(chance, fewest_answers):
    """Returns a list of answers, one of them perhaps twice, and a prediction."""
    answers = [make_text(chance) for _ in range(chance.randint(fewest_answers, 3))]
    if answers and chance.random() < 0.3:
        answers.append(answers[0])
    return answers, make_prediction(chance, answers)


def score(program, names, answers, prediction):
    """Returns what a program says of one question: names["exact_match"], names["f1"]."""
    question = {"id": "q", "answers": [{"text": answer} for answer in answers]}
    scores = program.evaluate([{"paragraphs": [{"qas": [question]}]}], {"q": prediction})
    return [scores[name] for name in names]


def main():
    """Generates the questions, scores and stores them."""
    chance = random.Random(0)
    rows = {"v1": [], "v2": []}
    for _ in range(QUESTIONS):
        question = make_question(chance, fewest_answers=1)
        scores = score(squad_evaluate_v1_1, ("exact_match", "final_f1"), *question)
        rows["v1"].append([*question, *map(float, scores)])
        question = make_question(chance, fewest_answers=0)
        percentages = score(squad_evaluate_v2_0, ("exact", "f1"), *question)
        rows["v2"].append([*question, *(percentage / 100 for percentage in percentages)])
    content = gzip.compress(json.dumps(rows).encode("ascii"), mtime=0)
    pathlib.Path(__file__).with_name("squad_scores.json.gz").write_bytes(content)


if __name__ == "__main__":
    main()
