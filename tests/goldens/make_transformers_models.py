"""Writes transformers_models/: tiny models as transformers saves them, and what they compute.

    make goldens

runs this with torch and transformers. Each folder holds a model with random weights, biases and
norms too, in another of the ways that weights are kept, and outputs.npz:

    token_ids, segment_ids, padding_mask: int32 (3, 8)
    hidden_states: float32 (layers + 1, 3, 8, 16), embedding output first
    logits: float32, of models with a head
    pooled_output: float32 (3, 16), of encoders with a pooler
    text_ids: int32, of the model with a tokenizer, the ids of TEXTS one after the other
"""

import json
import pathlib
import shutil

import numpy as np
import torch
import transformers

FOLDER = pathlib.Path(__file__).parent / "transformers_models"
VOCABULARY_SIZE = 60
TAGS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC"}
TOPICS = {0: "sport", 1: "politics", 2: "Häuser"}
TEXTS = ["Hé, Der Café in ZÜRICH!", "中文 der HÉ [x] 7", "die Straße"]
CASED = ["Der", "der", "die", "C", "##a", "##f", "##é", "Z", "##Ü", "in", "H", "h", "##é", ",", "!"]
CASED = [*dict.fromkeys(CASED), "中", "文", "S", "##tr", "##aße", "[", "]", "x", "7"]
BERT = {
    "vocab_size": VOCABULARY_SIZE,
    "num_hidden_layers": 2,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 12,
}
DISTILBERT = {
    "vocab_size": VOCABULARY_SIZE,
    "n_layers": 3,
    "dim": 16,
    "n_heads": 4,
    "hidden_dim": 24,
    "max_position_embeddings": 12,
}


def make(name, config=BERT, **settings):
    """Returns the model of a class with random weights, in evaluation mode."""
    torch.manual_seed(len(name))
    model_class = getattr(transformers, name)
    model = model_class(model_class.config_class(**config, **settings)).eval()
    model.set_attn_implementation("eager")
    for key, value in model.named_parameters():
        norm, matrix = "norm" in key.lower() and key.endswith("weight"), value.ndim == 2
        torch.nn.init.normal_(value, 1 if norm else 0, 0.3 if matrix else 0.5)
    return model


def rounded(model, dtype):
    """Returns the model with weights that the lower precision can hold."""
    return model.to(dtype).float()


def inputs_of():
    """Returns the int32 arrays that every model is given."""
    random = np.random.default_rng(0)
    lengths = np.array([[8], [5], [2]])
    return {
        "token_ids": random.integers(0, VOCABULARY_SIZE, (3, 8)).astype(np.int32),
        "segment_ids": random.integers(0, 2, (3, 8)).astype(np.int32),
        "padding_mask": (np.arange(8) < lengths).astype(np.int32),
    }


def run(model):
    """Returns inputs and outputs of a model as arrays by name."""
    inputs = inputs_of()
    names = {"input_ids": "token_ids", "attention_mask": "padding_mask"}
    if model.config.model_type == "bert":
        names["token_type_ids"] = "segment_ids"
    arguments = {name: torch.tensor(inputs[ours]).long() for name, ours in names.items()}
    with torch.no_grad():
        output = model(**arguments, output_hidden_states=True)
    arrays = {"hidden_states": np.stack([state.numpy() for state in output.hidden_states])}
    if "start_logits" in output:
        both = (output.start_logits, output.end_logits)
        arrays["logits"] = torch.stack(both, dim=-1).numpy()
    elif "prediction_logits" in output:
        arrays["logits"] = output.prediction_logits.numpy()
    elif "logits" in output:
        arrays["logits"] = output.logits.numpy()
    elif output.get("pooler_output") is not None:
        arrays["pooled_output"] = output.pooler_output.numpy()
    return inputs | arrays


def write_outputs(folder, **arrays):
    """Writes outputs.npz."""
    np.savez_compressed(FOLDER / folder / "outputs.npz", **arrays)


def save_config(model, folder):
    """Writes config.json alone; returns the model's folder."""
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(FOLDER / folder)
    return FOLDER / folder


def save_shards(tensors, folder):
    """Writes a state dict as three shards of pytorch_model.bin and their index."""
    names = [f"pytorch_model-{number:05d}-of-00003.bin" for number in (1, 2, 3)]
    parts = [dict(list(tensors.items())[start::3]) for start in range(3)]
    for name, part in zip(names, parts, strict=True):
        torch.save(part, folder / name)
    weight_map = {key: name for name, part in zip(names, parts, strict=True) for key in part}
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


def save_legacy(tensors, folder):
    """Writes pytorch_model.bin as torch did before 1.6."""
    path = folder / "pytorch_model.bin"
    torch.save(tensors, path, _use_new_zipfile_serialization=False)


def old_names(tensors):
    """Returns a state dict with gamma and beta for the weight and bias of norms."""
    tensors = {key.replace("LayerNorm.weight", "LayerNorm.gamma"): tensors[key] for key in tensors}
    return {key.replace("LayerNorm.bias", "LayerNorm.beta"): tensors[key] for key in tensors}


def write_encoder():
    """BertModel with a pooler, one file of safetensors."""
    model = make("BertModel", hidden_act="gelu_new")
    model.save_pretrained(FOLDER / "encoder")
    write_outputs("encoder", **run(model))


def write_multilabel():
    """Three labels of which any may hold, torch's zip format, parameters and not their values."""
    settings = {"id2label": TOPICS, "problem_type": "multi_label_classification"}
    model = make("BertForSequenceClassification", **settings)
    folder = save_config(model, "multilabel")
    torch.save(dict(model.named_parameters()), folder / "pytorch_model.bin")
    write_outputs("multilabel", **run(model))


def write_spans():
    """Question answering, shards of safetensors."""
    model = make("BertForQuestionAnswering")
    model.save_pretrained(FOLDER / "spans", max_shard_size="8KB")
    write_outputs("spans", **run(model))


def write_tags():
    """Token classification, shards of torch's zip format, bfloat16."""
    model = rounded(make("BertForTokenClassification", id2label=TAGS), torch.bfloat16)
    folder = save_config(model, "tags")
    write_outputs("tags", **run(model))
    save_shards(model.bfloat16().state_dict(), folder)


def write_masked_language_model():
    """A masked LM without a pooler and with its decoder, torch's old format; DistilBERT's."""
    model = make("BertForMaskedLM")
    save_legacy(old_names(model.state_dict()), save_config(model, "masked_lm"))
    write_outputs("masked_lm", **run(model))
    model = make("DistilBertForMaskedLM", {**DISTILBERT, "n_layers": 1})
    model.save_pretrained(FOLDER / "distilbert_masked_lm")
    write_outputs("distilbert_masked_lm", **run(model))


def write_pretraining_model():
    """A masked LM beside the other task of BERT's pre-training, whose pooler it has."""
    model = make("BertForPreTraining", hidden_act="relu")
    model.save_pretrained(FOLDER / "pretraining")
    arrays = run(model)
    with torch.no_grad():
        pooled = model.bert.pooler(torch.tensor(arrays["hidden_states"][-1]))
    write_outputs("pretraining", **arrays, pooled_output=pooled.numpy())


def write_distilbert():
    """DistilBertModel, float16 in safetensors."""
    model = rounded(make("DistilBertModel", DISTILBERT), torch.float16)
    arrays = run(model)
    model.half().save_pretrained(FOLDER / "distilbert")
    write_outputs("distilbert", **arrays)


def write_distilbert_heads():
    """DistilBERT's classifier with its own dense layer, and its two heads on every token."""
    model = make("DistilBertForSequenceClassification", DISTILBERT, id2label=TOPICS)
    save_legacy(model.state_dict(), save_config(model, "distilbert_classifier"))
    write_outputs("distilbert_classifier", **run(model))
    for name, folder in (("QuestionAnswering", "spans"), ("TokenClassification", "tags")):
        model = make(f"DistilBertFor{name}", {**DISTILBERT, "n_layers": 1}, num_labels=2)
        model.save_pretrained(FOLDER / f"distilbert_{folder}")
        write_outputs(f"distilbert_{folder}", **run(model))


def write_cased():
    """A classifier of cased text with what transformers 5 writes: tokenizer.json, no vocab.txt."""
    model = make("BertForSequenceClassification", num_labels=2)
    model.save_pretrained(FOLDER / "cased")
    special = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {token: index for index, token in enumerate([*special, *CASED])}
    tokenizer = transformers.BertTokenizer(vocab=vocabulary, do_lower_case=False)
    tokenizer.add_tokens(["Straße"])
    tokenizer.save_pretrained(FOLDER / "cased")
    ids = np.concatenate([tokenizer(text)["input_ids"] for text in TEXTS]).astype(np.int32)
    write_outputs("cased", text_ids=ids, **run(model))


def write_released_tinybert():
    """The layout of the TinyBERT authors' files: classifier on relu, fit_dense, no model_type."""
    model = make("BertForSequenceClassification")
    folder = FOLDER / "tinybert"
    folder.mkdir()
    arrays = run(model)
    with torch.no_grad():
        last = torch.tensor(arrays["hidden_states"][-1])
        logits = model.classifier(torch.relu(model.bert.pooler(last)))
    write_outputs("tinybert", **arrays | {"logits": logits.numpy()})
    extra = {"fit_dense.weight": torch.randn(32, 16), "fit_dense.bias": torch.randn(32)}
    save_legacy(old_names(model.state_dict()) | extra, folder)
    released = {"cell": {}, "emb_size": 16, "structure": [], "training": "", "pre_trained": ""}
    config = BERT | released | {"hidden_act": "gelu", "type_vocab_size": 2}
    config |= {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    (folder / "config.json").write_text(json.dumps(config, indent=2))


def main():
    """Writes every folder anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    write_encoder()
    write_multilabel()
    write_spans()
    write_tags()
    write_masked_language_model()
    write_pretraining_model()
    write_distilbert()
    write_distilbert_heads()
    write_cased()
    write_released_tinybert()
    print(sum(path.stat().st_size for path in FOLDER.rglob("*")), "bytes")


if __name__ == "__main__":
    main()
