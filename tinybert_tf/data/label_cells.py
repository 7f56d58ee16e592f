"""What the cells of a label column stand for."""

import math


def name_reader(names, cells=None):
    """Function from a cell to the name that it stands for; without names any cell is one."""
    if names is None:
        return str
    cells = cells or names
    name_of = dict(zip(cells, names, strict=True))

    def to_label(cell):
        if cell not in name_of:
            raise ValueError(f'label "{cell}" is not one of {", ".join(cells)}.')
        return name_of[cell]

    return to_label


def names_reader(names, separator):
    """Function from a cell with any number of names to a tuple of them."""
    to_name = name_reader(names)
    return lambda cell: tuple(
        to_name(part.strip()) for part in cell.split(separator) if part.strip()
    )


def to_score(cell):
    """The finite number in a cell; raises ValueError where there is none."""
    try:
        score = float(cell)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise ValueError(f'label "{cell}" is not a finite number.')
    return score
