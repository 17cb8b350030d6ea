"""The benchmarks measure the same mathematics on both sides."""

import importlib.util
import pathlib

import keras
import numpy as np

PATH = pathlib.Path(__file__).parent.parent / "benchmarks" / "outer_step.py"


def test_bare_loop_and_trainer_give_the_same_outer_gradient():
    spec = importlib.util.spec_from_file_location("outer_step", PATH)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    benchmark.UNROLL, benchmark.BATCH = 4, 16
    problem = benchmark.make_problem()
    trainer = benchmark.make_trainer(problem)
    trainer.compile(optimizer=keras.optimizers.SGD(1.0), gradient_clipping=None)
    before = trainer.student.get_weights()
    data = trainer.episodes.at(0)
    trainer.fit(epochs=1, steps_per_epoch=1, verbose=0, validation_data=False)
    after = trainer.student.get_weights()
    bare = benchmark.Bare(before, problem.trainable_shapes)
    task = benchmark.tensors(data[0])
    _, gradients, _ = bare.gradient(
        task["parameters"][0],
        task["scale"][0],
        task["batches"][0][0],
        task["batches"][1][0],
    )
    for old, new, gradient in zip(before, after, gradients):
        gradient = gradient.numpy()
        # the weights' own rounding is part of the difference
        rounding = 1e-7 * np.linalg.norm(old)
        error = np.linalg.norm((old - new) - gradient)
        assert error < 1e-4 * np.linalg.norm(gradient) + rounding
        assert np.linalg.norm(gradient) > 1e-4
