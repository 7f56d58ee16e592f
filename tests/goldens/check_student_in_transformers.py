"""Opens a folder of ours in transformers and compares logits; exit status 1 above 1e-4.

    python check_student_in_transformers.py FOLDER LOGITS.npz

Needs torch and transformers (`make goldens` makes such an environment, .venv-goldens). LOGITS.npz
holds our token_ids, segment_ids and padding_mask, int `(batch, length)`, and the logits that our
model gave for them, float `(batch, num_labels)`.
"""

import sys

import numpy as np
import torch
import transformers

TOLERANCE = 1e-4


def transformers_logits(folder, arrays):
    """Returns transformers' logits `(batch, num_labels)` as NumPy, and the label names in order."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32
    ).eval()
    with torch.no_grad():
        output = model(
            input_ids=torch.tensor(arrays["token_ids"]).long(),
            token_type_ids=torch.tensor(arrays["segment_ids"]).long(),
            attention_mask=torch.tensor(arrays["padding_mask"]).long(),
        )
    names = [model.config.id2label[index] for index in range(model.config.num_labels)]
    return output.logits.numpy(), names


def main(folder, logits_file):
    """Prints the largest difference and the labels; returns the exit status."""
    arrays = np.load(logits_file)
    logits, names = transformers_logits(folder, arrays)
    if logits.shape != arrays["logits"].shape:
        print(f"Logits of shape {logits.shape}, ours {arrays['logits'].shape}.")
        return 1
    difference = np.abs(logits - arrays["logits"]).max()
    print(f"Largest difference {difference:.3g}, labels {', '.join(names)}.")
    return 0 if difference <= TOLERANCE else 1  # NaN fails


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
