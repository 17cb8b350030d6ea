import math

from keras_l2o.evaluation import cells


def test_a_figure_that_is_missing_stands_as_such():
    assert cells.number(math.nan) == cells.number(None) == "-"
    assert cells.percent(math.nan) == cells.percent(None) == "-"
    assert cells.percent(math.nan, missing="") == ""
    assert cells.interval(1.0, math.nan, math.nan) == "1.00 (-, -)"


def test_figures_are_rounded():
    assert cells.number(0.125, "+.2f") == "+0.12"
    assert cells.percent(0.98765) == "98.8 %"
    assert cells.interval(0.5, 0.4, 0.61, ".1f") == "0.5 (0.4, 0.6)"
