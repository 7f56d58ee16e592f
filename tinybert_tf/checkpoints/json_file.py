"""JSON files that hold one object."""

import json


def read_json(path):
    """The object in a JSON file.

    Args:
        path: `pathlib.Path`.

    Returns:
        Dict.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON or holds something else than an object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; expected a JSON file.") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, absurd numbers or depth
        raise ValueError(f"{path}: not JSON ({error}).") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: holds a {type(values).__name__}, expected a JSON object.")
    return values
