"""A TinyBERT-4's file against a BERT-base's, and against ONNX Runtime on the same net.

    python -m benchmarks.device_speed make --vocabulary vocab.txt --folder runs/device_speed
    PYTHONPATH=. python -m benchmarks.device_speed measure --folder runs/device_speed

The first command writes the models, of random weights, and their .tflite files, each also by a
plain conversion of the Keras model. The second one needs torch, transformers, onnx, onnxruntime and
ai-edge-litert, so it runs in an environment of its own. It exports the same TinyBERT-4 by PyTorch,
quantizes it by ONNX Runtime's dynamic int8, and times all in turns on one thread: a round of some
runs of each, the first 50 ms of which are left out, as a BERT-base empties the caches.
"""

import argparse
import pathlib
import statistics

import numpy as np

from benchmarks import environment
from tinybert_tf.edge.measurement import ROUND_RUNS, time_warm

LENGTHS = (32, 128)
TINY, BASE = "tinybert_4l_312d", "bert_base_uncased"
RECIPES = {TINY: ("dynamic_wi8_afp32", "dynamic_wi8_afp32_emb4", "float32"), BASE: ("float32",)}
PACKAGES = ("ai-edge-litert", "onnxruntime", "torch", "transformers", "numpy")


def make(settings):
    """Writes a folder and the files of each model."""
    import tinybert_tf as tb

    vocabulary = tb.Vocabulary.from_file(settings.vocabulary)
    for preset, recipes in RECIPES.items():
        model = tb.BertClassifier.from_preset(preset, ("no", "yes"), vocabulary=vocabulary)
        tb.save(model, settings.folder / preset)
        for recipe in recipes:
            tb.export.to_tflite(model, settings.folder / f"{preset}.{recipe}.tflite", recipe)
        write_plain(model, settings.folder / f"{preset}.plain.tflite")


def write_plain(model, path):
    """Converts the Keras model as it is, in float32."""
    import tensorflow as tf

    names = {"ids": "token_ids", "mask": "padding_mask", "segment_ids": "segment_ids"}
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    module.serve = tf.function(
        lambda **inputs: {
            "probabilities": tf.nn.softmax(model({names[n]: inputs[n] for n in names})["logits"])
        }
    )
    specs = {name: tf.TensorSpec((1, None), tf.int32, name=name) for name in names}
    function = module.serve.get_concrete_function(**specs)
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function], module).convert())


def measure(settings):
    """Times all files in turns; one record for each file and length."""
    runs = {path.name: run_tflite(path) for path in sorted(settings.folder.glob("*.tflite"))}
    runs |= {path.name: run_onnx(path) for path in write_onnx(settings.folder)}
    described = environment.describe(PACKAGES)
    for length in LENGTHS:
        rounds = [
            {name: time_ms(run, inputs_of(length)) for name, run in runs.items()}
            for _ in range(settings.rounds)
        ]
        for name in runs:
            yield described | {
                "file": name,
                "size_bytes": (settings.folder / name).stat().st_size,
                "length": length,
                "p50_ms": statistics.median(times[name] for times in rounds),
                "ratios": {
                    other: statistics.median(times[name] / times[other] for times in rounds)
                    for other in runs
                    if other != name
                },
            }


def inputs_of(length):
    """One row of ids, mask and segment ids."""
    ids = np.random.default_rng(0).integers(1000, 20000, (1, length))
    return {"ids": ids, "mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}


def time_ms(run, inputs):
    """The median of a round's timed runs, which are those of `benchmark`."""
    return statistics.median(time_warm(run, inputs, ROUND_RUNS))


def run_tflite(path):
    """Function that runs a .tflite file."""
    from tinybert_tf.edge import EdgeModel

    return EdgeModel(path, num_threads=1).run


def run_onnx(path):
    """Function that runs an .onnx file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda **inputs: session.run(None, inputs)


def write_onnx(folder):
    """Writes the TinyBERT-4 as .onnx files in float32 and int8; returns their paths."""
    import torch
    import transformers
    from onnxruntime.quantization import QuantType, quantize_dynamic

    class Classifier(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder / TINY, attn_implementation="eager"
            ).eval()

        def forward(self, ids, mask, segment_ids):
            found = self.net(input_ids=ids, attention_mask=mask, token_type_ids=segment_ids)
            return torch.softmax(found.logits, -1)

    paths = folder / f"{TINY}.float32.onnx", folder / f"{TINY}.int8.onnx"
    inputs = {name: torch.tensor(values) for name, values in inputs_of(16).items()}
    torch.onnx.export(
        Classifier(),
        tuple(inputs.values()),
        paths[0],
        input_names=list(inputs),
        output_names=["probabilities"],
        dynamic_axes={name: {1: "length"} for name in inputs},
        opset_version=17,
        dynamo=False,
    )
    quantize_dynamic(paths[0], paths[1], weight_type=QuantType.QInt8)
    return paths


def main():
    """Runs one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("make", "measure"))
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("runs/device_speed"))
    parser.add_argument("--vocabulary", type=pathlib.Path, help="vocab.txt, for make")
    parser.add_argument("--rounds", type=int, default=20)
    settings = parser.parse_args()
    if settings.command == "make":
        make(settings)
    else:
        environment.write_lines(list(measure(settings)), settings.folder / "speed.jsonl")


if __name__ == "__main__":
    main()
