"""Publishes an optimizer to the Hugging Face Hub and loads it back by commit.

    hf auth login
    python examples/publish.py hf://me/my-optimizers/adam-like/1

Seconds, on any machine. `--private` makes a private repository.
"""

import argparse
import pathlib
import tempfile

import keras

import keras_l2o


def train(optimizer):
    """The loss of a small model after a few epochs with an optimizer."""
    digits = keras_l2o.problems.load_dataset("digits")
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input(digits.x_train.shape[1:]),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss)
    history = model.fit(digits.x_train, digits.y_train, epochs=3, verbose=0)
    return history.history["loss"][-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", help="hf://org/repo[/sub/folder]")
    parser.add_argument("--source", help="A folder or a bundled name.")
    parser.add_argument("--private", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        source = arguments.source
        if source is None:
            # Any optimizer will do: here a rule by hand, with its loss.
            source = pathlib.Path(scratch) / "optimizer"
            optimizer = keras_l2o.LearnedOptimizer(
                keras_l2o.policies.Adam(0.01)
            )
            figures = {"digits": {"train_loss": train(optimizer)}}
            keras_l2o.save(optimizer, source, metadata={"figures": figures})
        planned = keras_l2o.publish(source, arguments.target, dry_run=True)
        print(f"{sum(planned.files.values())} bytes to {planned.address}")
        made = keras_l2o.publish(
            source, arguments.target, private=arguments.private
        )
    print(f"published: {made.url}")
    # By the commit, so that it is this optimizer for ever.
    optimizer = keras_l2o.from_hub(arguments.target, revision=made.commit)
    print(f"loaded: {optimizer.source}")
    print(f"loss on digits with it: {train(optimizer):.3f}")


if __name__ == "__main__":
    main()
