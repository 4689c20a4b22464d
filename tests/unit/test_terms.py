"""Terms as columns of numbers, by hand."""

import numpy as np
import pytest

from estimators.terms import columns_of, expand, is_category, matrix, numeric_columns_of, unique

COLUMNS = {
    "x": np.array([1.0, 2.0, 4.0]),
    "z": np.array([0.0, -1.0, 3.0]),
    "g": np.array(["b", "a", "b"], dtype=object),
    "year": np.array([2004.0, 2006.0, 2004.5]),
    "code": np.array([3, 1, 3], dtype=object),
}


@pytest.mark.parametrize(("term", "columns", "numeric"), [
    ("x", ("x",), ("x",)),
    ("x^3", ("x",), ("x",)),
    ("C(g)", ("g",), ()),
    ("log(x)", ("x",), ("x",)),
    ("x:C(g)", ("x", "g"), ("x",)),
    ("a: b^2 :log(c)", ("a", "b", "c"), ("a", "b", "c")),
])  # fmt: skip
def test_columns_that_a_term_reads(term, columns, numeric):
    assert columns_of(term) == columns
    assert numeric_columns_of(term) == numeric
    assert is_category(term) == (term == "C(g)")


# What has no form of a term is the column of that name; backticks are around one that has.
NAMES = {
    "x+z": "x+z", "my col": "my col", "C(my col)": "my col", "C(`a:b`)": "a:b", "`x^2`": "x^2", "`x^2`^3": "x^2",
    "größe": "größe", "x^0": "x^0", "x^10": "x^10", "C(g": "C(g", "log()": "log()", "order": "order", " x ": "x",
    "it's": "it's", 'a "b"': 'a "b"', "back\\slash": "back\\slash", "log( `log(x)` )": "log(x)", "``": "``",
}  # fmt: skip


@pytest.mark.parametrize("term", NAMES)
def test_a_name_without_the_form_of_a_term_is_a_column(term):
    assert columns_of(term) == (NAMES[term],)


MALFORMED = ["", " ", "x:", ":x", "x::z"]


@pytest.mark.parametrize("term", MALFORMED)
def test_malformed(term):
    with pytest.raises(ValueError, match=r"is not a term; write name, name\^2, C\(name\), log\(name\) or a:b"):
        columns_of(term)


@pytest.mark.parametrize(("term", "values"), [("x", [1, 2, 4]), ("x^2", [1, 4, 16]), ("log(x)", np.log([1, 2, 4])),
                                              ("x:z", [0, -2, 12]), ("x^2:z", [0, -4, 48])])  # fmt: skip
def test_numbers(term, values):
    got = expand(term, COLUMNS)
    assert got.names == (term,)
    np.testing.assert_array_equal(got.values[:, 0], values)


def test_a_category_leaves_out_its_first_level():
    text = expand("C(g)", COLUMNS)
    assert text.names == ("g=b",)
    np.testing.assert_array_equal(text.values[:, 0], [1, 0, 1])
    numbers = expand("C(year)", COLUMNS)
    assert numbers.names == ("year=2004.5", "year=2006")
    np.testing.assert_array_equal(numbers.values, [[0, 0], [0, 1], [1, 0]])
    assert expand("C(code)", COLUMNS).names == ("code=3",)


def test_a_category_of_one_level_has_no_column():
    got = expand("C(k)", {"k": np.array(["a", "a"], dtype=object)})
    assert got.values.shape == (2, 0)


def test_products_take_every_pair_of_columns():
    got = expand("C(year):x", COLUMNS)
    assert got.names == ("year=2004.5:x", "year=2006:x")
    np.testing.assert_array_equal(got.values, [[0, 0], [0, 2], [4, 0]])
    three = expand("x:z:C(g)", COLUMNS)
    assert three.names == ("x:z:g=b",)
    np.testing.assert_array_equal(three.values[:, 0], [0, 0, 12])


def test_text_asks_for_a_category():
    with pytest.raises(ValueError, match=r"column 'g' holds text; declare it as C\(g\)"):
        expand("g", COLUMNS)
    with pytest.raises(ValueError, match="holds text"):
        expand("x:g", COLUMNS)


def test_an_absent_column_is_a_key_error():
    with pytest.raises(KeyError):
        expand("q", COLUMNS)


def test_terms_without_a_finite_number_are_refused():
    with pytest.raises(ValueError, match=r"'log\(z\)' is not a finite number in 2 rows"):
        expand("log(z)", COLUMNS)
    with pytest.raises(ValueError, match=r"'x\^9' is not a finite number in 1 rows"):
        expand("x^9", {"x": np.array([1.0, 1e40])})


def test_a_missing_value_stays_missing():
    got = expand("log(x)", {"x": np.array([1.0, np.nan])})
    assert got.values[0, 0] == 0
    assert np.isnan(got.values[1, 0])


def test_matrix_puts_terms_side_by_side():
    got = matrix(["x", "C(g)", "x^2"], COLUMNS, 3)
    assert got.names == ("x", "g=b", "x^2")
    np.testing.assert_array_equal(got.values, [[1, 1, 1], [2, 0, 4], [4, 1, 16]])
    assert matrix([], COLUMNS, 3).values.shape == (3, 0)


def test_unique_keeps_the_first_order():
    assert unique(["b", "a", "b", "c", "a"]) == ["b", "a", "c"]
    assert unique([1, -1, 2], key=abs) == [1, 2]
