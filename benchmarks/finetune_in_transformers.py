"""Fine-tunes a BERT folder on MRPC with PyTorch and transformers, to hold our teacher against.

    python benchmarks/finetune_in_transformers.py --model MINILM_FOLDER --data-dir glue/MRPC

Same schedule as `finetune-teacher`: 3 passes, batches of 32, AdamW with the rate 5e-5 after a
warm-up over a tenth of the steps, then linear decay; weight decay 0.01, gradient norm 1. Runs in an
environment of its own, with torch, transformers and scikit-learn, and prints one line of JSON.
"""

import argparse
import json
import pathlib

import sklearn.metrics
import torch
import transformers

BATCH_SIZE, RATE, MAX_LENGTH = 32, 5e-5, 128


def read(path):
    """Pairs of sentences and labels of an MRPC file."""
    lines = path.read_text(encoding="utf-8").removeprefix("\ufeff").rstrip("\n").split("\n")[1:]
    rows = [line.rstrip("\r").split("\t") for line in lines]
    return [(row[3], row[4]) for row in rows], torch.tensor([int(row[0]) for row in rows])


def finetune(model, tokenizer, pairs, labels, epochs):
    """Yields after every epoch."""
    groups = [{"weight_decay": 0.01, "params": []}, {"weight_decay": 0.0, "params": []}]
    for name, parameter in model.named_parameters():
        groups["LayerNorm" in name or name.endswith("bias")]["params"].append(parameter)
    optimizer = torch.optim.AdamW(groups, RATE, eps=1e-6)
    steps = epochs * -(-len(pairs) // BATCH_SIZE)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, steps // 10, steps)
    for _ in range(epochs):
        model.train()
        for rows in torch.randperm(len(pairs)).split(BATCH_SIZE):
            batch = encode(tokenizer, [pairs[row] for row in rows])
            model(**batch, labels=labels[rows]).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        yield


def encode(tokenizer, pairs):
    """Inputs of the model for pairs of sentences."""
    first, second = zip(*pairs, strict=True)
    settings = {"truncation": True, "max_length": MAX_LENGTH, "padding": True}
    return tokenizer(list(first), list(second), return_tensors="pt", **settings)


def measure(model, tokenizer, pairs, labels):
    """Accuracy and F1."""
    model.eval()
    with torch.no_grad():
        parts = [pairs[start : start + BATCH_SIZE] for start in range(0, len(pairs), BATCH_SIZE)]
        logits = torch.cat([model(**encode(tokenizer, part)).logits for part in parts])
    answers = logits.argmax(1)
    return {
        "accuracy": sklearn.metrics.accuracy_score(labels, answers),
        "f1": sklearn.metrics.f1_score(labels, answers),
    }


def main():
    """Fine-tunes and prints the dev metrics of every epoch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="BERT folder")
    parser.add_argument("--data-dir", type=pathlib.Path, required=True, help="MRPC's folder")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    torch.manual_seed(settings.seed)
    make = transformers.AutoModelForSequenceClassification
    model = make.from_pretrained(settings.model, num_labels=2)
    tokenizer = transformers.AutoTokenizer.from_pretrained(settings.model)
    dev = read(settings.data_dir / "dev.tsv")
    training = finetune(model, tokenizer, *read(settings.data_dir / "train.tsv"), settings.epochs)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    epochs = [measure(model, tokenizer, *dev) for _ in training]
    print(json.dumps({"task": "mrpc", "seed": settings.seed, "epochs": epochs, **versions}))


if __name__ == "__main__":
    main()
