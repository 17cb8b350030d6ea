import keras
import pytest

from keras_l2o import perturbations
from tests.perturbations.helpers import losses_at_rest

pytestmark = [pytest.mark.backend, pytest.mark.quick]

# What the seed's configurations write, and a size whose effect shows.
KINDS = {
    "fgsm": ("step_size", 0.05),
    "pgd": ("magnitude", 0.05),
    "cgd": ("magnitude", 0.5),
    "gaussian": ("noise_stddev", 0.1),
    "gaussian_rel": ("noise_stddev", 0.5),
    "persistent_gaussian": ("noise_stddev", 0.1),
    "input_noise": ("stddev", 1.0),
}
DEFAULTS = {
    "fgsm": 1e-3,
    "pgd": 1e-4,
    "cgd": 1e-3,
    "gaussian": 1e-3,
    "gaussian_rel": 5e-4,
    "persistent_gaussian": 1e-3,
    "input_noise": 1e-2,
}


@pytest.mark.parametrize("name", KINDS)
def test_each_is_made_by_name_and_made_again_from_its_config(name):
    argument, size = KINDS[name]
    made = perturbations.get(name, **{argument: size})
    made.build()
    made.magnitude = 2 * size
    twin = type(made).from_config(made.get_config())
    assert twin.magnitude == pytest.approx(2 * size)
    assert twin.get_config() == pytest.approx(made.get_config())
    assert perturbations.get(name).magnitude == DEFAULTS[name]


def test_options_survive_the_config():
    pgd = perturbations.get("pgd", steps=4, learning_rate=0.2, norm="l2")
    assert pgd.get_config() == {
        "magnitude": 1e-4, "steps": 4, "learning_rate": 0.2, "norm": "l2"
    }  # fmt: skip
    assert perturbations.get("cgd", scale=True).get_config()["scale"] is True


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'gaussian_rel'"):
        perturbations.get("gausian_rel")


def test_all_compose_and_each_magnitude_counts_at_the_next_step(tiny_problem):
    made = [perturbations.get(name, magnitude=0.0) for name in KINDS]

    class Turn(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            for index, (_, size) in enumerate(KINDS.values()):
                made[index].magnitude = size if index + 1 == epoch else 0.0

    epochs = 1 + len(made)
    losses = losses_at_rest(tiny_problem, made, epochs, [Turn()])
    expected = losses_at_rest(tiny_problem, [], epochs)
    assert losses[0] == pytest.approx(expected[0], rel=1e-5)
    for name, loss, undisturbed in zip(KINDS, losses[1:], expected[1:]):
        assert abs(loss - undisturbed) > 1e-5, name
