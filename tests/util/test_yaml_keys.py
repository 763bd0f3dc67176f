"""Values of a mapping by key and kind."""

import pytest

from mpt.util.yaml_keys import Keys, shown, texts

CONTENT = {"a": "x", "b": ["x", "y"], "c": True, "d": 3, "e": 0.5, "f": 1}


def test_values_of_their_kinds():
    keys = Keys(CONTENT, "top", ("a", "b"), ("c", "d", "e", "f", "g"))
    assert "a" in keys and "g" not in keys and keys["b"] == ["x", "y"] and keys.dotted("a") == "top.a"
    assert (keys.text("a"), keys.text("g", "none")) == ("x", "none")
    assert (keys.texts("a"), keys.texts("b")) == (("x",), ("x", "y"))
    assert keys.flag("c") is True and (keys.whole("d", 7, 1), keys.whole("g", 7, 1)) == (3, 7)
    assert (keys.number("e"), keys.number("f")) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("take", "complaint"),
    [
        (lambda keys: keys.text("d"), "top.d must be a text, not 3: put it in quotes"),
        (lambda keys: keys.text("c"), "top.c must be a text, not true: put it in quotes"),
        (lambda keys: keys.text("b"), "top.b must be a text, not a list"),
        (lambda keys: keys.texts("d"), "top.d must be a text or a list of texts, not 3: put it in quotes"),
        (lambda keys: keys.flag("f"), "top.f is true or false, not 1"),
        (lambda keys: keys.whole("e", 1, 1), "top.e must be a whole number of at least 1, not 0.5"),
        (lambda keys: keys.whole("c", 1, 1), "top.c must be a whole number of at least 1, not true"),
        (lambda keys: keys.whole("d", 1, 1, 2), "top.d must be a whole number from 1 to 2, not 3"),
        (lambda keys: keys.number("c"), "top.c must be a number, not true"),
        (lambda keys: keys.number("a"), "top.a must be a number, not 'x'"),
    ],
)
def test_another_kind_is_told_by_its_key(take, complaint):
    with pytest.raises(ValueError) as raised:
        take(Keys(CONTENT, "top", CONTENT))
    assert str(raised.value) == complaint


@pytest.mark.parametrize(
    ("content", "key", "complaint"),
    [
        (None, "", "it must be a mapping with the keys a, not nothing"),
        (["a"], "top", "top must be a mapping with the keys a, not a list"),
        ({"a": 1, "z": 2}, "top", "top has the unknown key z; known are a, b"),
        ({"a": 1, None: 2}, "", "it has the unknown key nothing; known are a, b"),
        ({}, "top", "top has no key a"),
        ({}, "", "the key a is missing"),
    ],
)
def test_missing_and_unknown_keys(content, key, complaint):
    with pytest.raises(ValueError) as raised:
        Keys(content, key, ("a",), ("b",))
    assert str(raised.value) == complaint


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("abc", "k must be a list of texts, not 'abc'"),
        ([], "k is an empty list; it must name one at least"),
        (["a", ["b"]], "each of k must be a text, not a list"),
        (["a", ""], "each of k must not be empty"),
        (["a", "a"], "k names 'a' twice"),
    ],
)
def test_lists_of_texts(value, complaint):
    with pytest.raises(ValueError) as raised:
        texts(value, "k")
    assert str(raised.value) == complaint


def test_long_values_are_shown_in_short():
    assert len(shown("x" * 1000)) < 90 and shown([[]] * 1000) == "a list"
