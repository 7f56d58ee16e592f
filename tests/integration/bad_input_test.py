"""What is wrong is said in a sentence with the right exit status, and nothing is damaged."""

import shutil

import pytest
import tiny


@pytest.fixture(name="out")
def name_output(tmp_path):
    return tmp_path / "out"


def finetune(teacher, files, out, *others):
    command = ("finetune-teacher", "--teacher", teacher, *files, "--epochs", 1, "--output", out)
    return (*command, *others)


def with_rows(path, rows):
    return ("--train", tiny.write_tsv(path, rows), "--dev", path)


def test_missing_file(teacher, out):
    message = tiny.refused(2, *finetune(teacher, ("--train", "gone.tsv", "--dev", "x"), out))
    assert message == "tinybert-tf: gone.tsv: no such file or folder, for --train."
    assert not out.exists()


def test_train_without_dev(teacher, files, out):
    message = tiny.refused(2, *finetune(teacher, files[:2], out))
    assert "train.tsv without --dev; training goes by the dev file." in message
    assert not out.exists()


def test_no_task(teacher, out):
    assert "Give either the name of a task" in tiny.refused(2, *finetune(teacher, (), out))


def test_task_and_files(teacher, files, out):
    message = tiny.refused(2, *finetune(teacher, ("--task", "snips", *files), out))
    assert "Give either the name of a task" in message


def test_unknown_task(teacher, out):
    message = tiny.refused(2, *finetune(teacher, ("--task", "sst-2"), out))
    assert 'Unknown task "sst-2". Did you mean "sst2"? Tasks: cola, ' in message
    assert not out.exists()


def test_short_row(teacher, tmp_path, out):
    files = with_rows(tmp_path / "train.tsv", [("a", "no"), ("b",), ("c", "yes")])
    message = tiny.refused(1, *finetune(teacher, files, out))
    assert "train.tsv, line 3: 1 column, expected 2 (sentence, label)." in message


def test_unknown_label_in_dev(distil, tmp_path, out):
    dev = tiny.write_tsv(tmp_path / "dev.tsv", [("a", "no"), ("b", "maybe")])
    message = tiny.refused(1, *distil(out, "--dev", dev))
    assert 'dev.tsv, line 3: label "maybe" is not one of no, yes.' in message


def test_unknown_label_for_the_model(teacher, tmp_path):
    dev = tiny.write_tsv(tmp_path / "dev.tsv", [("a", "no"), ("b", "maybe")])
    message = tiny.refused(1, "evaluate", "--model", teacher, "--dev", dev)
    assert "The model's labels are no, yes, but those of dev are maybe, no." in message


def test_scores_for_a_classifier(teacher, tmp_path):
    dev = tiny.write_tsv(tmp_path / "dev.tsv", [("a", "1.5"), ("b", "2")])
    command = ("evaluate", "--model", teacher, "--dev", dev, "--problem", "regression")
    assert "teacher is for classification, but dev is regression." in tiny.refused(1, *command)


def test_different_vocabularies(distil, tmp_path, out):
    other = tiny.save_model(tmp_path / "other", tokens=(*tiny.TOKENS, "!"))
    message = tiny.refused(1, *distil(out, "--student", other))
    assert "different vocabularies (57 and 58 tokens" in message


def test_different_labels(distil, tmp_path, out):
    other = tiny.save_model(tmp_path / "other", labels=("bad", "good"))
    message = tiny.refused(1, *distil(out, "--teacher", other))
    assert "does not fit train: the labels bad, good cannot be matched with the" in message


def test_cut_weights(teacher, distil, tmp_path, out):
    cut = shutil.copytree(teacher, tmp_path / "cut") / "model.safetensors"
    cut.write_bytes(cut.read_bytes()[:-100])
    message = tiny.refused(1, *distil(out, "--teacher", cut.parent))
    assert f"{cut}: not a whole safetensors file" in message


def test_a_model_without_a_head(teacher, distil, dev_file, tmp_path, out):
    import tinybert_tf as tb

    tb.save(tb.load(teacher).encoder, tmp_path / "encoder")
    message = tiny.refused(1, *distil(out, "--teacher", tmp_path / "encoder"))
    assert "has no classifier; fine-tune it with finetune-teacher first." in message
    message = tiny.refused(1, "evaluate", "--model", tmp_path / "encoder", "--dev", dev_file)
    assert "has no classifier or no vocab.txt, so it cannot answer." in message


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--student", "bert_tny"), 'bert_tny: neither a folder nor a preset. Did you mean "bert_'),
        (("--initialize", "zeros"), "--initialize is zeros, expected teacher_pca or random."),
        (("--prediction-epochs", 0), "--prediction-epochs is 0, expected 1 or more."),
        (("--intermediate-epochs", -1), "--intermediate-epochs is -1, expected 0 or more."),
        (("--temperature", 0), "`temperature` is 0.0, expected a positive number."),
        (("--prediction-weight", 0), "All weights are 0"),
        (("--prediction-learning-rate", -1), "`learning_rate` is -1.0"),
        (("--warmup", 1.5), "`warmup` is 1.5"),
        (("--compat", "papr"), "`compat` is 'papr', expected one of paper, reference."),
        (("--layer-mapping", "upper"), 'Unknown `layer_mapping` "upper"'),
        (("--layer-mapping", "1,a"), 'Unknown `layer_mapping` "1,a"'),
        (("--projection", "none"), 'Unknown `projection` "none"'),
        (("--problem", "ranking"), "expected one of classification, multilabel, regression, "),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_made(distil, out, flags, message):
    assert message in tiny.refused(2, *distil(out, *flags))
    assert not out.exists()


def test_what_a_failed_run_left_does_not_stand_in_the_way(distil, out):
    message = tiny.refused(1, *distil(out, "--projection", "identity"))
    assert "`projection` is identity, but the student's hidden states are 16 wide" in message
    assert (out / "run.json").is_file()
    message = tiny.refused(1, *distil(out, "--projection", "identity", "--seed", 3))
    assert "`projection` is identity" in message


def test_overwriting_begins_only_when_all_that_is_read_is_there(distil, out, tmp_path):
    tiny.done(*distil(out))
    before = tiny.snapshot(out)
    tiny.refused(2, *distil(out, "--teacher", tmp_path / "typo", "--overwrite"))
    short = tiny.write_tsv(tmp_path / "short.tsv", [("a b", "no"), ("c",)])
    assert "line 3" in tiny.refused(1, *distil(out, "--train", short, "--overwrite"))
    dev = ("--train", short.with_name("fine.tsv"), "--dev", short)
    tiny.write_tsv(dev[1], [("a b", "no"), ("c", "yes")])
    assert "line 3" in tiny.refused(1, *distil(out, *dev, "--overwrite"))
    assert tiny.snapshot(out) == before


def test_a_quickstart_that_cannot_end_does_not_begin(teacher, out, tmp_path):
    command = ("quickstart", "--output", out)
    assert "expected a preset" in tiny.refused(2, *command, "--student", teacher)
    assert "expected a BERT folder" in tiny.refused(2, *command, "--teacher", "bert_tiny")
    for split in ("train", "dev"):
        tiny.write_tsv(tmp_path / f"{split}.tsv", [("rain", "GetWeather")])
    assert "No test.tsv" in tiny.refused(2, *command, "--data-dir", tmp_path)
    assert not out.exists()


def test_what_is_no_run_is_left_alone(distil, out):
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    for flags in ((), ("--overwrite",)):
        assert "holds no run of this package" in tiny.refused(1, *distil(out, *flags))
    assert tiny.snapshot(out) == {"thesis.txt": b"years of work"}


@pytest.mark.parametrize("name", ["notes.txt", "notes.txt/run"])
def test_an_output_folder_that_is_a_file(distil, tmp_path, name):
    (tmp_path / "notes.txt").write_text("mine")
    assert "notes.txt" in tiny.refused(1, *distil(tmp_path / name))
    assert tiny.snapshot(tmp_path) == {"notes.txt": b"mine"}


def test_overwriting_does_not_remove_what_is_read(teacher, files, out):
    shutil.copytree(teacher, out)
    (out / "run.json").write_text('{"command": "x", "settings": {}, "status": "finished"}')
    before = tiny.snapshot(out)
    message = tiny.refused(1, *finetune(out, files, out, "--overwrite"))
    assert f"--overwrite would remove {out}, which --teacher names." in message
    assert tiny.snapshot(out) == before


def test_overwriting_does_not_remove_the_texts(teacher, tmp_path):
    texts = tiny.write_tsv(tmp_path / "texts.tsv", [("a", "no")])
    (tmp_path / "texts.tsv.run.json").write_text(
        '{"command": "predict", "settings": {}, "status": "finished"}'
    )
    before = tiny.snapshot(tmp_path)
    command = ("predict", "--model", teacher, "--input", texts, "--output", texts, "--overwrite")
    assert "which --input names" in tiny.refused(1, *command)
    assert tiny.snapshot(tmp_path) == before


def test_a_file_that_is_no_tflite(dev_file, tmp_path):
    file = tmp_path / "model.tflite"
    file.write_bytes(b"<html>" * 100)
    message = tiny.refused(1, "evaluate", "--model", file, "--dev", dev_file)
    assert message.startswith(f"tinybert-tf: {file}")
    assert "TFLite" in message


def test_a_model_that_is_not_there(dev_file):
    for name in ("gone", "gone.tflite"):
        assert "gone" in tiny.refused(2, "evaluate", "--model", name, "--dev", dev_file)


def test_predictions_need_a_tsv_file(teacher, dev_file):
    command = ("predict", "--model", teacher, "--input", dev_file, "--output", "answers.csv")
    assert "--output is answers.csv, expected a name that ends in .tsv or .json." in tiny.refused(
        2, *command
    )


def test_unknown_column(teacher, dev_file, tmp_path):
    command = ("predict", "--model", teacher, "--input", dev_file, "--output", tmp_path / "x.tsv")
    message = tiny.refused(1, *command, "--text-column", "sentense")
    assert 'no column "sentense". Did you mean "sentence"? Columns: sentence, label.' in message
    assert not (tmp_path / "x.tsv").exists()


@pytest.fixture(name="locked")
def lock_folder(tmp_path):
    """A folder that nobody may write to, or a test that is skipped for those who may."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    try:
        (folder / "probe").touch()
    except PermissionError:
        return folder
    pytest.skip("this user may write everywhere")


def test_read_only_folder(distil, locked):
    assert "Permission denied." in tiny.refused(1, *distil(locked / "out"))
