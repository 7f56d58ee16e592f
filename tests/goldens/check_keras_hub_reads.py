"""Compares what KerasHub computes with a folder that we wrote, with what we computed.

    python check_keras_hub_reads.py FOLDER OUTPUTS.npz

The file holds `token_ids`, `padding_mask`, `segment_ids`, `sequence_output`, `pooled_output` and,
of a classifier, `logits`. Needs keras-hub.
"""

import sys

import keras_hub
import numpy as np


def main(folder, outputs_file):
    """Prints the largest difference of each output."""
    arrays = dict(np.load(outputs_file))
    names = ("token_ids", "padding_mask", "segment_ids")
    inputs = {name: arrays.pop(name) for name in names}
    outputs = keras_hub.models.BertBackbone.from_preset(folder).predict(inputs, verbose=0)
    if "logits" in arrays:
        classifier = keras_hub.models.BertTextClassifier.from_preset(folder, preprocessor=None)
        outputs["logits"] = classifier.predict(inputs, verbose=0)
    for name, array in arrays.items():
        print(f"{name}: largest difference {np.abs(array - outputs[name]).max():.2e}")
    tokenizer = keras_hub.models.BertTokenizer.from_preset(folder)
    print(f"tokenizer: {tokenizer.vocabulary_size()} tokens, 'a b': {tokenizer('a b').tolist()}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
