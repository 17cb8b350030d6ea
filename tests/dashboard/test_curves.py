"""Curves are thinned without hiding what they say."""

import numpy as np
import pytest

from keras_l2o.dashboard import curves

pytestmark = pytest.mark.quick


def test_points_are_means_of_neighbouring_steps():
    x, means = curves.thinned(np.arange(12.0)[None], 4)
    assert x.tolist() == [3, 6, 9, 12]
    assert means.tolist() == [[1.0, 4.0, 7.0, 10.0]]


@pytest.mark.parametrize("steps", [0, 1, 3, 47, 48, 49, 1000])
def test_every_step_counts_once_whatever_their_number(steps):
    values = np.ones((2, steps))
    x, means = curves.thinned(values, curves.POINTS)
    assert len(x) == means.shape[1] == min(steps, curves.POINTS)
    sizes = np.diff([0, *x])
    assert (sizes * means).sum() == 2 * steps
    assert x.tolist() == sorted(set(x.tolist()))


def test_a_band_is_median_least_and_greatest():
    values = np.array([[3.0, 1.0], [1.0, 1.0], [2.0, 4.0]])
    assert curves.band(values) == [[2, 1], [1, 1], [3, 4]]


def test_a_single_run_has_no_band():
    assert curves.band(np.array([[3.0, 1.0]])) == [[3, 1]]


def test_what_is_not_finite_does_not_count():
    values = np.array([[np.inf, np.nan], [1.0, np.nan]])
    assert curves.band(values) == [[1, None], [1, None], [1, None]]


def test_numbers_have_four_digits_and_json_holds_them():
    assert curves.number(0.123456) == 0.1235
    assert curves.number(np.float32(2.0)) == 2
    assert curves.number(1.23456e-9) == 1.235e-9
    assert curves.number(float("nan")) is None
    assert curves.number(None) is None
