"""`augment`, from the command line to the file that a training reads."""

import itertools
import json

import pytest
import tiny
from tiny_augmentation import make_masked_lm

import tinybert_tf as tb
from tinybert_tf.augmentation import Candidates

ROWS = [("b C, xyz", "yes"), ("the b", "no"), ("h k m", "-"), ("12", "yes")]


@pytest.fixture(scope="module", name="masked_lm")
def save_masked_lm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masked_lm") / "model"
    tb.save(make_masked_lm(), folder)
    return folder


@pytest.fixture(name="files")
def write_files(tmp_path):
    """The flags of the training file and of vectors, and the output's."""
    train = tiny.write_tsv(tmp_path / "train.tsv", ROWS)
    glove = tmp_path / "glove.txt"
    glove.write_text("xyz 1 0\nabc 1 0.1\nq r 0 1\n")
    return ("--train", train, "--glove", glove, "--output", tmp_path / "out.tsv")


def augment(masked_lm, files, *flags):
    return tiny.done("augment", "--masked-lm", masked_lm, *files, *flags)


def lines_of(files):
    return files[-1].read_text().splitlines()


def test_tsv(masked_lm, files):
    result = augment(masked_lm, files, "--variants", 9)
    lines = lines_of(files)
    assert lines[0] == "sentence\tlabel"
    rows = [tuple(line.split("\t")) for line in lines[1:]]
    assert [row for row in rows if row in ROWS] == ROWS
    assert len(rows) == len(set(rows)) == result["num_rows"] > 12
    labels = [label for label, _ in itertools.groupby(label for _, label in rows)]
    assert labels == ["yes", "no", "-", "yes"]
    assert any(", q r" in text or ", abc" in text for text, _ in rows)
    assert (result["num_examples"], result["num_words"]) == (4, 4 + 2 + 3 + 1)
    assert result["num_candidate_words"] == 3 + 1 + 2  # "m" is a stop word
    assert 0.2 < result["replaced_share"] < 0.6
    assert 0 < result["changed_share"] <= result["replaced_share"]
    assert result["sentences_per_second"] > 0


def test_same_seed_same_file_and_the_models_run_once(masked_lm, files, monkeypatch):
    augment(masked_lm, files)
    first = files[-1].read_bytes()
    monkeypatch.setattr("tinybert_tf.augmentation.candidates.compute_top_tokens", None)
    assert augment(masked_lm, files, "--overwrite")["sentences_per_second"] is None
    assert files[-1].read_bytes() == first
    augment(masked_lm, files, "--overwrite", "--seed", 1)
    assert files[-1].read_bytes() != first


def test_a_finished_run_tells_its_result(masked_lm, files):
    result = augment(masked_lm, files)
    files[-1].with_name("out.tsv.candidates").unlink()
    assert augment(masked_lm, files) == result
    assert "--seed was 0 and is now 1" in tiny.refused(
        1, "augment", "--masked-lm", masked_lm, *files, "--seed", 1
    )


def test_candidates_are_kept_where_asked(masked_lm, files, tmp_path):
    augment(masked_lm, files, "--candidates", tmp_path / "kept")
    assert Candidates.load(tmp_path / "kept").texts == [text for text, _ in ROWS]


def test_candidates_of_something_else_stay(masked_lm, files, tmp_path):
    kept = ("--candidates", tmp_path / "kept", "--variants", 2)
    augment(masked_lm, files, *kept)
    before = (tmp_path / "kept").read_bytes()
    other = (*files[:-1], tmp_path / "other.tsv", *kept, "--candidates-per-word", 3)
    assert "kept holds candidates of other texts" in refused("--masked-lm", masked_lm, *other)
    assert (tmp_path / "kept").read_bytes() == before
    augment(masked_lm, other, "--overwrite")
    assert (tmp_path / "kept").read_bytes() != before


def test_reference(masked_lm, files):
    augment(masked_lm, files, "--compat", "reference", "--probability", 0)
    assert lines_of(files)[1:4] == ["b C, xyz\tyes", "b c , xyz\tyes", "the b\tno"]


def test_task_with_its_own_number_of_variants(masked_lm, tmp_path):
    folder = tmp_path / "CoLA"
    folder.mkdir()
    (folder / "train.tsv").write_text("s\t1\t\tb c h k b c h k b c h k\ns\t0\t*\t12\n")
    task = ("--task", "cola", "--data-dir", tmp_path, "--output", tmp_path / "out.tsv")
    assert augment(masked_lm, task)["num_rows"] == 1 + 30 + 1
    lines = (tmp_path / "out.tsv").read_text().splitlines()
    assert all(line.startswith("s\t1\t\t") for line in lines[:-1])
    assert lines[-1] == "s\t0\t*\t12"


def test_squad(masked_lm, tmp_path):
    answers = [{"text": "k", "answer_start": 4}]
    paragraph = {"context": "b h k", "qas": [{"id": "1", "question": "?", "answers": answers}]}
    (tmp_path / "train.json").write_text(json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    files = ("--train", tmp_path / "train.json", "--output", tmp_path / "out.json")
    result = augment(masked_lm, files, "--problem", "spans")
    examples = tb.data.read_squad(tmp_path / "out.json")
    assert len(examples) == result["num_rows"] > 5
    assert {text for ((text, _),) in examples.labels} == {"k"}


def refused(*flags, status=1):
    return tiny.refused(status, "augment", *flags)


def test_models_that_guess_no_words(files, tmp_path):
    classifier = tiny.save_model(tmp_path / "classifier")
    assert "adapt one with adapt-mlm" in refused("--masked-lm", classifier, *files)
    assert not files[-1].exists()


def test_errors_of_usage(masked_lm, files, tmp_path):
    for flags, message in (
        (("--probability", 2), "--probability is 2.0, expected 0 to 1"),
        (("--variants", 0), "--variants is 0, expected 1 or more"),
        (("--problem", "tagging"), "Tagging has no texts to vary"),
        (("--glove", tmp_path / "none"), "for --glove"),
        (("--compat", "x"), "--compat is x"),
        (("--compat", "reference", "--problem", "spans"), "--compat reference does not go with SQ"),
        (("--compat", "reference", "--output", "x.candidates"), "--output of candidates"),
        (("--dev", "x"), "--dev"),
    ):
        assert message in refused("--masked-lm", masked_lm, *files, *flags, status=2)


def test_help_names_what_matters():
    flags = set(tiny.cli("augment", "--help").out.split())
    assert {"--train", "--text-pair-column", "--problem", "--max-length"} <= flags
    assert not flags & {"--dev", "--test", "--labels", "--label-column", "--label-separator"}


def test_errors_of_files(masked_lm, files, tmp_path):
    model = ("--masked-lm", masked_lm)
    assert "ends in .json" in refused(*model, *files, "--problem", "spans")
    assert 'no column "text"' in refused(*model, *files, "--text-column", "text")
    mrpc = ("--task", "mrpc", "--output", tmp_path / "out.tsv")
    assert "Give --data-dir" in refused(*model, *mrpc)
    assert "No train.tsv or train.tsv.gz" in refused(*model, *mrpc, "--data-dir", masked_lm)
    (tmp_path / "glove.txt").write_text("other 1 2\n")
    assert "The word vectors know none" in refused(*model, *files)


@pytest.fixture(name="distil")
def make_distil(tmp_path):
    """The arguments of a short task-distill of tiny models."""
    models = [tiny.save_model(tmp_path / name, num_layers=1) for name in ("teacher", "student")]
    train = tiny.write_tsv(tmp_path / "train.tsv", tiny.make_rows(12, seed=0))
    models = ("--teacher", models[0], "--student", models[1])
    short = ("--intermediate-epochs", 1, "--prediction-epochs", 1, "--allow-weak-teacher")
    return ("task-distill", *models, *short, "--train", train, "--dev", train)


def test_a_student_learns_from_variants_of_a_file(masked_lm, distil, tmp_path):
    output = tmp_path / "augmented.tsv"
    made = augment(masked_lm, ("--train", distil[-1], "--output", output), "--variants", 2)
    result = tiny.done(*distil, "--augment", output, "--output", tmp_path / "out")
    assert result["rows"] == made["num_rows"] > 12


def test_a_student_learns_from_variants_that_no_file_holds(masked_lm, distil, tmp_path):
    output = tmp_path / "train.candidates"
    made = augment(masked_lm, ("--train", distil[-1], "--output", output))
    assert "num_rows" not in made
    drawn = ("--augment", "on-the-fly", "--candidates", output, "--variants", 3)
    one_length = ("--pad-to", 16, "--batch-size", 8)
    result = tiny.done(*distil, *drawn, *one_length, "--output", tmp_path / "out")
    assert (result["rows"], result["steps"]) == (12 * 4, 2 * 6)


def test_what_augmentation_needs(masked_lm, distil, tmp_path):
    output = ("--output", tmp_path / "out")
    message = tiny.refused(2, *distil, *output, "--augment", "on-the-fly")
    assert "--candidates FILE, which augment makes, go together" in message
    message = tiny.refused(2, *distil, *output, "--augment", "gone.tsv")
    assert "gone.tsv: no such file, for --augment" in message
    other = tiny.write_tsv(tmp_path / "other.tsv", tiny.make_rows(12, seed=9))
    candidates = tmp_path / "other.candidates"
    augment(masked_lm, ("--train", other, "--output", candidates))
    drawn = ("--augment", "on-the-fly", "--candidates", candidates)
    assert "There are no candidates for the text" in tiny.refused(1, *distil, *output, *drawn)


def test_scores_are_predicted_on_the_examples_alone(masked_lm, tmp_path):
    rows = [(text, float(label == "yes")) for text, label in tiny.make_rows(12, seed=0)]
    train = tiny.write_tsv(tmp_path / "train.tsv", rows)
    candidates = tmp_path / "train.candidates"
    own = ("--train", train, "--problem", "regression")
    augment(masked_lm, (*own, "--output", candidates))
    score = {"labels": ("score",), "problem": "regression", "num_layers": 1}
    model = tiny.save_model(tmp_path / "model", **score)
    result = tiny.done(
        *("task-distill", "--teacher", model, "--student", model, *own, "--dev", train),
        *("--intermediate-epochs", 1, "--prediction-epochs", 1, "--allow-weak-teacher"),
        *("--augment", "on-the-fly", "--candidates", candidates, "--variants", 3),
        *("--pad-to", 16, "--batch-size", 4, "--output", tmp_path / "out"),
    )
    assert result["steps"] == 12 + 3
