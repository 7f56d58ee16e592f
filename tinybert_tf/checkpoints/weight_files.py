"""The files that hold the tensors of a Hugging Face model: whole or in shards."""

import numpy as np
import safetensors
import safetensors.numpy

from tinybert_tf.checkpoints.json_file import read_json
from tinybert_tf.checkpoints.pytorch_file import read_pytorch_file

INDEX_SUFFIX = ".index.json"
_LONGEST = 255  # bytes of a file's name, on common file systems


def find_weights(folder):
    """The file of a model folder's weights, or the index of their shards; safetensors if it can.

    Args:
        folder: `pathlib.Path`.

    Raises:
        FileNotFoundError: If there is none.
    """
    for name in READERS:
        for path in (folder / name, folder / f"{name}{INDEX_SUFFIX}"):
            if path.is_file():
                return path
    first, *others = READERS
    raise FileNotFoundError(
        f"{folder / first}: no such file; expected the model's weights, as {first} or "
        f"{', '.join(others)}, or the {INDEX_SUFFIX} of its shards."
    )


def read_weights(path):
    """The tensors of a file of weights, or of all the shards that an index names.

    Args:
        path: `pathlib.Path`, what `find_weights` found.

    Returns:
        Dict of name to NumPy array; those of half precision as float32.

    Raises:
        FileNotFoundError: If a shard is missing.
        ValueError: If a file is damaged or a tensor is not in the shard that the index says.
    """
    if not path.name.endswith(INDEX_SUFFIX):
        return READERS[path.name](path)
    read, tensors = READERS[path.name.removesuffix(INDEX_SUFFIX)], {}
    for shard, names in _shards(path).items():
        content = read(path.parent / shard)
        missing = sorted(set(names) - set(content))
        if missing:
            raise ValueError(f"{path.parent / shard}: lacks {missing[0]}, which {path} puts there.")
        tensors |= {name: content[name] for name in names}
    return tensors


def _shards(path):
    """An index's tensors by shard: dict of file name to the names of its tensors."""
    weight_map = read_json(path).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f"{path}: lacks `weight_map`, the shard of each tensor.")
    shards = {}
    for name, shard in weight_map.items():
        # A name with a folder in it, ".." among them, would lead out of the model's own folder.
        is_name = isinstance(shard, str) and 0 < len(shard.encode("utf-8", "replace")) <= _LONGEST
        if not is_name or shard in (".", "..") or set(shard) & set("/\\:\0"):
            raise ValueError(
                f"{path}: `weight_map` sends {name} to {shard!r}, expected the name of a file in "
                "the same folder."
            )
        shards.setdefault(shard, []).append(name)
    return shards


def read_safetensors(path):
    """The tensors of a safetensors file.

    Args:
        path: `pathlib.Path`.

    Returns:
        Dict of name to NumPy array; those of half precision as float32.

    Raises:
        FileNotFoundError: If it is missing.
        ValueError: If it is damaged: the library checks the header against the file's size.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected the model's weights.")
    try:
        tensors = safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        size = path.stat().st_size
        raise ValueError(
            f"{path}: not a whole safetensors file ({error}; it has {size} bytes). Copy it again."
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # its dtype, to NumPy
        raise ValueError(
            f"{path}: a tensor has a dtype that cannot be read ({error}). Save it as float32."
        ) from error
    return {
        name: value.astype(np.float32) if value.dtype in ("float16", "bfloat16") else value
        for name, value in tensors.items()
    }


def write_safetensors(tensors, path, metadata):
    """Writes a safetensors file.

    Args:
        tensors: dict of name to NumPy array.
        path: path-like.
        metadata: dict of str to str.

    Raises:
        OSError: If it cannot be written.
    """
    try:
        safetensors.numpy.save_file(tensors, path, metadata)
    except safetensors.SafetensorError as error:
        raise OSError(f"{path}: cannot be written ({error}).") from error


# Name of the file of a whole model: its reader
READERS = {"model.safetensors": read_safetensors, "pytorch_model.bin": read_pytorch_file}
