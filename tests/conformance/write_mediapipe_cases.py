"""Writes what mediapipe_check.py needs, as MediaPipe has to be installed apart from TensorFlow.

    python tests/conformance/write_mediapipe_cases.py FILE.tflite TEXTS.tsv FOLDER

FOLDER gets `sentences.tsv`: the first column of TEXTS.tsv with the label and the probabilities that
`EdgeModel` gives; and `probe.tflite`: a file that answers with the ids it was fed.
"""

import csv
import pathlib
import sys
import types
import zipfile

import tensorflow as tf

from tinybert_tf.data import Examples
from tinybert_tf.edge import EdgeModel
from tinybert_tf.edge.interpreter import INPUT_NAMES
from tinybert_tf.export.metadata import add_metadata
from tinybert_tf.export.predictor import predict_file

PROBE_LENGTH = 256


def write_sentences(model, texts_path, path):
    """Writes the texts of a TSV file with the model's answers."""
    with open(texts_path, encoding="utf-8", newline="") as file:
        texts = [row[0] for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)][1:]
    probabilities = predict_file(model, Examples(texts))
    rows = [["sentence", "label", *model.labels]]
    for text, row in zip(texts, probabilities.tolist(), strict=True):
        rows.append([text, model.labels[row.index(max(row))], *row])
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")


def write_probe(vocabulary_text, path):
    """Writes a .tflite file whose "probabilities" are the first ids, zeros behind them."""
    specs = [tf.TensorSpec((1, None), tf.int32, name=name) for name in INPUT_NAMES]

    @tf.function(input_signature=specs, autograph=False)
    def serve(ids, mask, segment_ids):
        room = tf.zeros((1, PROBE_LENGTH), tf.int32)
        ids = tf.concat([ids * mask + segment_ids, room], axis=1)[:, :PROBE_LENGTH]
        return {"probabilities": tf.cast(ids, tf.float32)}

    function = serve.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    config = types.SimpleNamespace(num_layers=0, hidden_dim=0)
    model = types.SimpleNamespace(problem="probe", config=config)
    path.write_bytes(add_metadata(converter.convert(), model))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("vocab.txt", vocabulary_text)
        archive.writestr("labels.txt", "".join(f"{place}\n" for place in range(PROBE_LENGTH)))


def main(tflite_path, texts_path, folder):
    """Writes both files."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = EdgeModel(tflite_path)
    write_sentences(model, texts_path, folder / "sentences.tsv")
    write_probe(model.vocabulary_text, folder / "probe.tflite")


if __name__ == "__main__":
    main(*sys.argv[1:])
