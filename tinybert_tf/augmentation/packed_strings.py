"""Strings as arrays, to stand in a file of tensors."""

import numpy as np


def pack_strings(name, strings):
    """Strings as bytes one after another and where each ends.

    Args:
        name: str, what they are.
        strings: list of str.

    Returns:
        Dict of two arrays: `name`, uint8, and `name_ends`, int64 `(strings,)`.
    """
    encoded = [string.encode("utf-8", "surrogatepass") for string in strings]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)[1:]
    return {name: np.frombuffer(b"".join(encoded), np.uint8), f"{name}_ends": ends}


def unpack_strings(name, tensors):
    """The strings, list of str, that `pack_strings` packed.

    Args:
        name: str.
        tensors: dict of arrays, theirs among them.

    Raises:
        KeyError: If they are not.
        ValueError: If they do not fit together.
    """
    content, ends = tensors[name].tobytes(), tensors[f"{name}_ends"].tolist()
    if sorted([0, *ends, len(content)]) != [0, *ends, len(content)]:
        raise ValueError(f"the ends of its {name} do not increase")
    return [
        content[start:end].decode("utf-8", "surrogatepass")
        for start, end in zip([0, *ends], ends, strict=False)
    ]
