"""Writes our logits for the golden sentences, for check_student_in_transformers.py.

python write_student_logits.py FOLDER LOGITS.npz
"""

import json
import pathlib
import sys

import numpy as np

import tinybert_tf as tb


def main(folder, logits_file):
    """Encodes the sentences, runs the model and stores inputs and logits."""
    model = tb.load(folder)
    path = pathlib.Path(__file__).with_name("minilm_sentences.json")
    texts = [" ".join(row) for row in json.loads(path.read_text("utf-8"))]
    ids, segment_ids = tb.data.BertTokenizer(model.vocabulary).encode(texts, max_length=128)
    inputs = {
        "token_ids": ids.to_tensor().numpy(),
        "segment_ids": segment_ids.to_tensor().numpy(),
        "padding_mask": (ids * 0 + 1).to_tensor().numpy(),
    }
    np.savez(logits_file, logits=model(inputs)["logits"].numpy(), **inputs)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
