import numpy as np
import pytest

from keras_l2o.problems import networks

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("head", ["dense", "average"])
def test_conv_has_the_layers_it_is_given(head):
    model = networks.conv((28, 28, 1), 10, ((4, 3), 2, (8, 5), 2), head)
    assert model(np.zeros((2, 28, 28, 1), "float32")).shape == (2, 10)
    kernels = [w.shape for w in model.get_weights()[::2]]
    last = (4 * 4 * 8 if head == "dense" else 8, 10)
    assert kernels == [(3, 3, 1, 4), (5, 5, 4, 8), last]


def test_conv_clips_what_is_wider_than_what_is_left_of_the_image():
    model = networks.conv((8, 8, 1), 10, ((16, 3), 2, (32, 5), 2))
    kernels = [w.shape for w in model.get_weights()[::2]]
    assert kernels == [(3, 3, 1, 16), (3, 3, 16, 32), (32, 10)]
    assert model(np.zeros((2, 8, 8, 1), "float32")).shape == (2, 10)
    flat = networks.conv((3, 9, 1), 2, (2, (4, 5), 4))
    assert flat.get_weights()[0].shape == (1, 4, 1, 4)
    assert flat.output_shape == (None, 2)


def test_mlp_has_the_widths_it_is_given():
    model = networks.mlp((4, 4, 1), 3, units=(7, 5))
    assert [w.shape for w in model.get_weights()[::2]] == [
        (16, 7),
        (7, 5),
        (5, 3),
    ]


def test_an_unknown_head_is_named():
    with pytest.raises(ValueError, match="`head` must be"):
        networks.conv((8, 8, 1), 10, head="mean")
