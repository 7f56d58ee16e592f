"""Writing that either happens whole or leaves what was there untouched."""

import contextlib
import os
import pathlib
import shutil
import tempfile


@contextlib.contextmanager
def atomic_file(path):
    """Gives a temporary path; moves it onto `path` when the block ends without an error.

    Args:
        path: str or path-like, the file to write. Missing parent folders are made.

    Yields:
        `pathlib.Path` to write to.

    Example:
        with atomic_file("run.json") as temporary:
            temporary.write_text("{}")
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
        _sync(temporary)
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


@contextlib.contextmanager
def atomic_folder(path):
    """Gives a temporary folder that takes the place of `path` when the block ends without error.

    Args:
        path: str or path-like, the folder to write. A folder already there is replaced.

    Yields:
        `pathlib.Path` of an empty folder.

    Raises:
        FileExistsError: If `path` is a file.
    """
    path = pathlib.Path(path).resolve()  # a link stays, what it leads to is replaced
    if path.is_file():
        raise FileExistsError(f"{path}: is a file; expected a folder, or a name that is free.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary.chmod(0o777 & ~_umask())
    try:
        yield temporary
        for entry in temporary.rglob("*"):
            _sync(entry)
        _replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _sync(path.parent)


def _replace_folder(new, path):
    """Renames `new` to `path`; a folder that is in the way steps aside first."""
    if not path.exists():
        os.rename(new, path)
        return
    old = new.with_name(f"{new.name}.old")
    os.rename(path, old)
    try:
        os.rename(new, path)
    except BaseException:
        os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
