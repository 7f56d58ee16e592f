"""The whole way on a few dozen sentences."""

import pytest
import tiny

import tinybert_tf as tb
from tinybert_tf.data import TASKS

EPOCHS = ("--teacher-epochs", 1, "--intermediate-epochs", 1, "--prediction-epochs", 1)


@pytest.fixture(name="data_dir")
def write_data(tmp_path):
    labels = TASKS["snips"].labels
    for split, seed in (("train", 0), ("dev", 1), ("test", 2)):
        texts = [text for text, _ in tiny.make_rows(28, seed)]
        rows = [(text, labels[number % 7]) for number, text in enumerate(texts)]
        (tmp_path / "snips").mkdir(exist_ok=True)
        tiny.write_tsv(tmp_path / "snips" / f"{split}.tsv", rows)
    return tmp_path


def test_from_a_teacher_to_the_report(data_dir, tmp_path):
    teacher = tiny.save_model(tmp_path / "bert", hidden_dim=128)
    output = tmp_path / "out"
    models = ("--teacher", teacher, "--student", "bert_tiny")
    command = ("quickstart", *models, "--data-dir", data_dir, "--output", output, *EPOCHS)
    result = tiny.done(*command)
    assert list(result["models"]) == ["teacher float32", "student float32", "student int8"]
    assert all(0 <= model["accuracy"] <= 1 for model in result["models"].values())
    assert result["report"] == str(output / "report.html")
    page = (output / "report.html").read_text()
    assert page.startswith("<!") and "<svg" in page and "student int8" in page
    assert tb.edge.EdgeModel(result["tflite"]).labels == TASKS["snips"].labels
    assert tiny.done(*command) == result


def test_a_vocabulary_is_made_where_there_is_no_teacher(data_dir, tmp_path):
    from tinybert_tf.trainers.quickstart import QuickstartSettings, make_vocabulary

    path = tmp_path / "vocab.txt"
    make_vocabulary(QuickstartSettings(data_dir=str(data_dir)), str(path))
    vocabulary = tb.Vocabulary.from_file(path)
    assert vocabulary.tokens[:5] == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    texts = tb.data.task("snips", data_dir).examples("train").texts
    ids = tb.data.BertTokenizer(vocabulary).tokenize(texts)
    assert vocabulary.unknown_id not in ids.flat_values.numpy()


def test_without_a_package_of_weights_a_teacher_is_trained_from_scratch(tmp_path, monkeypatch):
    from tinybert_tf.trainers import finetune_teacher, quickstart

    calls = []
    monkeypatch.setattr(quickstart, "find_minilm", lambda: None)
    monkeypatch.setattr(quickstart, "make_vocabulary", lambda settings, path: calls.append(path))
    monkeypatch.setattr(finetune_teacher, "run", calls.append)
    notes = quickstart.make_teacher(quickstart.QuickstartSettings(teacher_epochs=2), tmp_path)
    path, settings = calls
    assert (settings.teacher, settings.vocabulary) == ("minilm_6l_384d", path)
    assert (settings.epochs, settings.output) == (6, str(tmp_path / "teacher"))
    assert len(notes) == 1 and "trained from scratch" in notes[0]
