"""Text made plain before another program's tokenizer reads it.

The tokenizers of MediaPipe and Task Library split at white space, ASCII punctuation and CJK
ideographs as BERT's does, but keep accents, invisible characters and capitals outside ASCII.
`tflite/android/TextNormalizer.kt` and `tflite/ios/TextNormalizer.swift` do the same as this file.
"""

import unicodedata

# Inclusive ranges of the characters that are words of their own. A gap in them is BERT's.
_IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
_SPACES = ("Zs", "Zl", "Zp")
_REMOVED = ("Cc", "Cf", "Co", "Cs")
# Characters whose category changed from one version of Unicode to another: the one they have here.
_CATEGORIES = {
    "\u166d": "Po",
    "\u1734": "Mn",
    "\u1885": "Lo",
    "\u1886": "Lo",
    "\ua9bd": "Mn",
    "\U000111c9": "Mn",
    "\U0001171e": "Mn",
}


def normalize(text, lower_case=True):
    """Makes a text plain, so that a simple tokenizer finds the word-pieces that BERT's does.

    White space of any kind becomes a space; control and other invisible characters, those of
    private use and U+FFFD go. CJK ideographs and punctuation stand between spaces. For models that
    know small letters only, letters lose their accents and become small. One space is left between
    words.

    Args:
        text: str.
        lower_case: bool, the model's: `EdgeModel.settings["lower_case"]`. MediaPipe and Task
            Library make ASCII letters small whatever the model, so models that tell capitals apart
            need another tokenizer, to which the text can be given so.

    Returns:
        str. Normalizing it again does not change it.

    Example:
        normalize("Naïve\u00a0café\u200b!")  # "naive cafe !"
    """
    text = "".join(map(_cleaned, text))
    if lower_case:
        plain = (c for c in unicodedata.normalize("NFD", text) if _category(c) != "Mn")
        # One by one: a word's last sigma would get a form of its own.
        text = "".join(character.lower() for character in plain)
    text = "".join(f" {c} " if _is_punctuation(c) else c for c in text)
    return " ".join(text.split())


def _category(character):
    return _CATEGORIES.get(character) or unicodedata.category(character)


def _cleaned(character):
    if character in "\t\n\r" or _category(character) in _SPACES:
        return " "
    if character == "\ufffd" or _category(character) in _REMOVED:
        return ""
    alone = any(first <= ord(character) <= last for first, last in _IDEOGRAPHS)
    return f" {character} " if alone else character


def _is_punctuation(character):
    ascii_symbol = character.isascii() and not character.isalnum() and character > " "
    return ascii_symbol or _category(character).startswith("P")
