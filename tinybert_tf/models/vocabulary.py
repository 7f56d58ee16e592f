"""The word-pieces that a BERT knows."""

import dataclasses
import pathlib

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_MOST_TOKEN_BYTES = 256  # which tensorflow-text can look up


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The word-pieces of a BERT, in the order of their ids.

    Args:
        tokens: tuple of str, the token of each id, `##` before those that continue a word.
        lower_case: bool, whether text is lower-cased and its accents are removed before it is
            looked up.

    Raises:
        ValueError: If a token appears twice, holds a NUL or is too long, or one of [PAD], [UNK],
            [CLS], [SEP] is missing.

    Example:
        vocabulary = Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "##ness"))
        vocabulary.cls_id  # 2
    """

    tokens: tuple[str, ...]
    lower_case: bool = True

    def __post_init__(self):
        object.__setattr__(self, "tokens", tuple(self.tokens))
        _check_tokens(self.tokens, "The vocabulary", "token")

    @classmethod
    def from_file(cls, path, lower_case=None):
        """Reads a `vocab.txt`: one token a line, in the order of the ids.

        Args:
            path: str or path-like, a UTF-8 file.
            lower_case: bool, as in the constructor, or `None`: true unless a token has a capital.

        Returns:
            A `Vocabulary`.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not UTF-8, or its tokens are not as in the constructor.
        """
        path = pathlib.Path(path)
        if not path.is_file():
            raise FileNotFoundError(
                f"No vocabulary file {path}. Expected a BERT vocab.txt: one token a line."
            )
        try:
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 at byte {error.start}.") from error
        # Only "\n" ends a line: tokens such as U+2028 or U+0085 are line ends to str.splitlines.
        tokens = tuple(text.replace("\r\n", "\n").removesuffix("\n").split("\n"))
        _check_tokens(tokens, path, "line", first=1)
        return cls(tokens, is_uncased(tokens) if lower_case is None else lower_case)

    def to_text(self):
        """Returns the content of a `vocab.txt`: every token, each followed by a newline."""
        return "".join(f"{token}\n" for token in self.tokens)

    @property
    def pad_id(self):
        """Id of [PAD], which fills the end of a shorter row."""
        return self.tokens.index("[PAD]")

    @property
    def unknown_id(self):
        """Id of [UNK], which stands for a word that has no pieces."""
        return self.tokens.index("[UNK]")

    @property
    def cls_id(self):
        """Id of [CLS], the first token of every input."""
        return self.tokens.index("[CLS]")

    @property
    def sep_id(self):
        """Id of [SEP], the token after each text."""
        return self.tokens.index("[SEP]")

    def __len__(self):
        """Number of tokens."""
        return len(self.tokens)


def is_uncased(tokens):
    """Whether hardly a token has a capital letter, so that text has to be lower-cased to be found.

    Args:
        tokens: sequence of str. What stands in brackets, such as [CLS] and [unused0], is no text;
            one word in a hundred may have been added with its capitals.
    """
    words = [token for token in tokens if token[:1] + token[-1:] not in ("[]", "<>")]
    return sum(word != word.lower() for word in words) <= len(words) / 100


def _check_tokens(tokens, source, unit, first=0):
    missing = [token for token in SPECIAL_TOKENS if token not in tokens]
    if missing:
        raise ValueError(
            f"{source} lacks {', '.join(missing)}; "
            f"a BERT vocabulary holds {', '.join(SPECIAL_TOKENS)}."
        )
    for position, token in enumerate(tokens, first):
        if _num_bytes(token) > _MOST_TOKEN_BYTES:
            raise ValueError(
                f"{source}, {unit} {position}: token {token[:20]!r}... has {_num_bytes(token)} "
                f"bytes, expected {_MOST_TOKEN_BYTES} at most. Is it a vocab.txt, a token a line?"
            )
        if "\0" in token:
            raise ValueError(f"{source}, {unit} {position}: token {token!r} holds a NUL.")
    if len(set(tokens)) == len(tokens):
        return
    positions = {}
    for position, token in enumerate(tokens, first):
        if token in positions:
            raise ValueError(
                f"{source}, {unit} {position}: token {token!r} stands at {unit} "
                f"{positions[token]} already; each token may appear once."
            )
        positions[token] = position


def _num_bytes(token):
    return len(token.removeprefix("##").encode(errors="surrogatepass"))
