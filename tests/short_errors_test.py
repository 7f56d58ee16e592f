import pytest

from tinybert_tf.short_errors import MOST_CHARACTERS, short_errors, shortened


@short_errors()
def refuse(error):
    """Raises."""
    raise error


def test_a_short_text_is_left_as_it_is():
    assert shortened("a" * MOST_CHARACTERS) == "a" * MOST_CHARACTERS


def test_a_long_text_keeps_its_ends():
    text = shortened("begin" + "x" * 5000 + "end")
    assert text.startswith("beginx") and text.endswith("xend") and " [...] " in text
    assert len(text) <= MOST_CHARACTERS


def test_a_short_error_is_raised_as_it_is():
    error = UnicodeError("short")
    with pytest.raises(UnicodeError) as caught:
        refuse(error)
    assert caught.value is error


def test_a_long_error_is_shortened():
    with pytest.raises(ValueError, match=r"^x+ \[...\] x+$") as caught:
        refuse(ValueError("x" * 5000))
    assert len(str(caught.value)) <= MOST_CHARACTERS


def test_other_errors_are_left_alone():
    with pytest.raises(OSError, match="x{5000}"):
        refuse(OSError("x" * 5000))


def test_a_decorated_function_keeps_its_name_and_result():
    @short_errors()
    def double(number):
        """Doubles."""
        return 2 * number

    assert (double(2), double.__name__, double.__doc__) == (4, "double", "Doubles.")
