"""The tasks by name: problems that are in no family of the meta-training.

Each task's docstring says why it is unseen. The meta-training has digits with
perceptrons, convolutional and residual networks and autoencoders, regression
on a random teacher, a factorization, a quadratic, and characters of Python's
documentation with transformers and a GRU.
"""

from collections.abc import Callable

from benchmarks.unseen import images
from benchmarks.unseen import sequences
from benchmarks.unseen import tables
from keras_l2o.problems import Problem

#: What makes each task, by its name.
TASKS: dict[str, Callable[[], Problem]] = {
    make.__name__: make
    for make in (
        sequences.code_lstm,
        sequences.code_transformer,
        sequences.dilated_co2,
        sequences.hashed_words,
        images.digits_vit,
        images.digits_mixer,
        images.siamese_digits,
        images.set_of_digits,
        images.fourier_image,
        images.sine_image,
        images.photo_separable,
        images.fashion_separable,
        images.denoising_unet,
        tables.survey_residual,
        tables.diabetes_regression,
        tables.visits_selu,
        tables.cancer_mixture,
    )
}


def make(name: str) -> Problem:
    """Makes the task of a name.

    Args:
        name: String, one of `TASKS`.

    Raises:
        ValueError: There is no such task.
        DatasetError: The task's data are not prepared.
    """
    if name not in TASKS:
        raise ValueError(f"Unknown task {name!r}. Known: {', '.join(TASKS)}")
    return TASKS[name]()
