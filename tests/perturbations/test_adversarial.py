import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o.perturbations import CGD
from keras_l2o.perturbations import FGSM
from keras_l2o.perturbations import PGD
from tests.perturbations.helpers import losses_at_rest
from tests.perturbations.helpers import moves
from tests.perturbations.helpers import norms
from tests.perturbations.helpers import outer_gradient
from tests.perturbations.helpers import trainer

pytestmark = [
    pytest.mark.backend,
    pytest.mark.usefixtures("few_outer_steps"),
]

SPREAD = np.array([3.0, -0.5, 0.01, 0.0, -40.0], "float32")


def attack(perturbation, weight, gradient):
    perturbation.build()
    weight = ops.convert_to_tensor(np.asarray(weight, "float32"))
    (moved,) = perturbation.attack([weight], lambda w: [gradient(w[0])])
    return ops.convert_to_numpy(moved - weight)


def test_fgsm_steps_by_the_sign_of_the_true_outer_gradient(tiny_problem):
    moved, _ = moves(tiny_problem, FGSM(0.01))
    for move, gradient in zip(moved, outer_gradient(tiny_problem)):
        clear = np.abs(gradient) > 1e-6  # what rounding leaves of it
        assert clear.any()
        np.testing.assert_allclose(
            move[clear], 0.01 * np.sign(gradient[clear]), atol=1e-6
        )


@pytest.mark.parametrize("norm", ["inf", "l2", "scaled"])
def test_pgd_stays_in_its_ball_and_reaches_its_edge(norm):
    size = {
        "inf": lambda x: np.abs(x).max(),
        "l2": np.linalg.norm,
        "scaled": lambda x: np.sqrt(np.mean(x**2)),
    }[norm]
    move = attack(
        PGD(0.02, steps=3, learning_rate=0.1, norm=norm),
        np.ones(5),
        lambda w: ops.convert_to_tensor(SPREAD) * w,
    )
    assert size(move) == pytest.approx(0.02, rel=1e-5)
    assert (move * SPREAD >= 0).all()


def test_pgd_inside_its_ball_is_plain_gradient_ascent():
    weight = np.array([1.0, -2.0, 0.5])
    point = weight.copy()
    for _ in range(3):
        point = point + 0.1 * 2 * point  # of the square
    move = attack(PGD(10.0, steps=3), weight, lambda w: 2 * w)
    np.testing.assert_allclose(move, point - weight, rtol=1e-5)


def test_cgd_clips_each_step_to_the_tensors_norm():
    weight = np.array([3.0, 4.0])
    gradient = np.array([0.0, 100.0], "float32")
    move = attack(CGD(0.1), weight, lambda w: ops.convert_to_tensor(gradient))
    np.testing.assert_allclose(move, [0.0, 0.5], rtol=1e-5)
    short = gradient * 1e-3
    move = attack(CGD(0.1), weight, lambda w: ops.convert_to_tensor(short))
    np.testing.assert_allclose(move, [0.0, 0.1], rtol=1e-5)
    scaled = CGD(0.1, steps=2, scale=True)
    move = attack(scaled, weight, lambda w: ops.convert_to_tensor(short))
    np.testing.assert_allclose(move, [0.0, 1.0], rtol=1e-5)


def test_cgd_bounds_every_weight_of_a_student_by_its_own_norm(tiny_problem):
    moved, stored = moves(tiny_problem, CGD(1e-2, scale=True))
    np.testing.assert_allclose(
        norms(moved), 1e-2 * norms(stored), rtol=1e-3, atol=1e-7
    )


@pytest.mark.parametrize("size", [1e-36, 1e-24, 1e-6, 1e20, 1e36])
@pytest.mark.parametrize(
    ("perturbation", "expected"),
    [
        (CGD(0.1, scale=True), 0.5),
        (CGD(0.1), 0.5),
        (PGD(0.2, norm="l2"), 0.2),
        (PGD(0.2, norm="scaled"), 0.2 * 2**0.5),
    ],
)
def test_no_size_of_a_gradient_takes_a_step_over_its_bound(
    perturbation, expected, size
):
    gradient = np.array([0.0, size], "float32")
    move = attack(
        perturbation, [3.0, 4.0], lambda w: ops.convert_to_tensor(gradient)
    )
    if size < 1.0 and not getattr(perturbation, "scale", False):
        expected = 0.0  # shorter than its bound: as it is
    np.testing.assert_allclose(move, [0.0, expected], rtol=1e-5, atol=2e-6)


def test_weights_whose_squares_are_zero_have_a_norm_for_cgd():
    weight = np.array([3e-24, 4e-24], "float32")
    move = attack(CGD(0.1, scale=True), weight, ops.ones_like)
    np.testing.assert_allclose(np.linalg.norm(move / 1e-24), 0.5, rtol=1e-3)


@pytest.mark.parametrize("kind", [FGSM, PGD, CGD])
def test_a_zero_gradient_moves_nothing(kind):
    move = attack(kind(0.1), np.ones(5), ops.zeros_like)
    np.testing.assert_array_equal(move, np.zeros(5))


def test_an_attack_ends_where_its_gradient_is_not_finite():
    calls = []

    def gradient(weight):
        calls.append(0)
        return weight * (1.0 if len(calls) == 1 else np.nan)

    move = attack(PGD(1.0, steps=3), np.ones(5), gradient)
    np.testing.assert_allclose(move, np.full(5, 0.1), rtol=1e-5)


def test_pgd_and_fgsm_raise_the_loss_and_leave_the_weights(tiny_problem):
    losses = []
    for perturbations in (
        [],
        [PGD(0.02, steps=2, learning_rate=1.0)],
        [FGSM(step_size=0.02)],
    ):
        losses += losses_at_rest(tiny_problem, perturbations)
    plain, pgd, fgsm = losses
    assert pgd > plain + 1e-4
    assert fgsm > plain + 1e-4


def test_a_gradient_that_is_not_finite_is_counted_not_applied(tiny_problem):
    def explosive(log_distances, axis):
        # finite in value, infinite in slope
        return ops.sqrt(ops.max(log_distances * 0.0, axis=axis))

    model = trainer(tiny_problem, [keras.optimizers.SGD(0.1)], reduce=explosive)
    before = model.student.get_weights()
    history = model.fit(
        epochs=1,
        steps_per_epoch=2,
        verbose=0,
        validation_data=False,
        callbacks=[PGD(1e-2)],
    ).history
    assert history["skipped_updates"] == [2.0]
    assert np.isfinite(history["loss"]).all()
    for old, new in zip(before, model.student.get_weights()):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PGD(norm="l1"), "`norm` must be one of"),
        (lambda: PGD(steps=0), "`steps` must be an integer"),
        (lambda: CGD(-1e-3), "`magnitude` must be"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
