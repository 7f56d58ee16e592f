"""Writing that either happens whole or leaves what was there untouched, even when it is killed.

What is written to NAME lies beside it as `.NAME.new` until it is whole; a folder that is replaced
steps aside as `.NAME.old`. So `.NAME.new` never counts, `.NAME.old` is always whole, and a killed
process leaves nothing but these two: the next write of NAME, or `settle`, clears them away.

The names are fixed so that they can be found again. That is safe as long as no two processes write
the same NAME at the same time; of a distributed job only the chief writes.
"""

import contextlib
import os
import pathlib
import shutil


@contextlib.contextmanager
def atomic_file(path):
    """Gives a temporary path; moves it onto `path` when the block ends without an error.

    Args:
        path: str or path-like, the file to write. Missing parent folders are made; a link stays,
            and what it leads to is replaced.

    Yields:
        `pathlib.Path` of an empty file to write to.

    Example:
        with atomic_file("run.json") as temporary:
            temporary.write_text("{}")
    """
    path, new, _ = _names(path)
    with _settled(path):
        new.touch(exist_ok=False)
        yield new
        _sync(new)
        os.replace(new, path)
        _sync(path.parent)


@contextlib.contextmanager
def atomic_folder(path):
    """Gives a temporary folder that takes the place of `path` when the block ends without error.

    Args:
        path: str or path-like, the folder to write. A folder already there is replaced; a link
            stays, and what it leads to is replaced.

    Yields:
        `pathlib.Path` of an empty folder.

    Raises:
        FileExistsError: If `path` is a file.
    """
    path, new, old = _names(path)
    if path.is_file():
        raise FileExistsError(f"{path}: is a file; expected a folder, or a name that is free.")
    with _settled(path):
        new.mkdir()
        yield new
        for entry in (*new.rglob("*"), new):
            _sync(entry)
        if path.exists():
            os.rename(path, old)
        os.rename(new, path)
        _sync(path.parent)


def settle(path):
    """Brings a file or folder into its last whole state after a write of it was interrupted.

    An interruption between the two renames of a folder is rolled back rather than forward: then
    what is called `.NAME.new` never counts, whole or not, and nothing has to tell which it is.

    Args:
        path: str or path-like, as it was given to `atomic_file` or `atomic_folder`.
    """
    path, new, old = _names(path)
    remove(new, ignore_errors=True)
    if not old.exists():
        return
    if not path.exists():
        os.rename(old, path)
        return
    os.rename(old, new)  # half removed, it must not be called `.NAME.old`
    remove(new, ignore_errors=True)


def leftovers(folder):
    """What interrupted writes have left in a folder.

    Args:
        folder: path-like.

    Returns:
        List of `pathlib.Path`; those that end in .old are whole, and may be all there is.
    """
    found = pathlib.Path(folder).glob(".*")
    return sorted(path for path in found if path.suffix in (".new", ".old"))


def remove(path, ignore_errors=False):
    """Removes a file, a link or a folder with all that it holds; what is not there is no error.

    Args:
        path: path-like.
        ignore_errors: bool, whether what cannot be removed from a folder stays without a word.
    """
    path = pathlib.Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors)
    else:
        path.unlink(missing_ok=True)


def _names(path):
    """The path that is written, without links, and what it is called while it is replaced."""
    path = pathlib.Path(path).resolve()
    return path, path.with_name(f".{path.name}.new"), path.with_name(f".{path.name}.old")


@contextlib.contextmanager
def _settled(path):
    """Settles a path before the block and after it, whether it fails or not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    settle(path)
    try:
        yield
    finally:
        settle(path)


def _sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
