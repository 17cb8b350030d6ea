"""What the examples share: flags, the optimizers to compare, and the table.

`general` has nothing set and is told how long the training is. Beside it are
AdamW at two rates, each with warm-up and a cosine, so that its best row is
AdamW tuned for the example, and Adam as Keras makes it. All start from the same
weights.
"""

import argparse
import pathlib
import time

import keras
import numpy as np

import keras_l2o

RATES = (0.003, 0.01)
WARMUP = 0.05


def arguments(document, argv, seeds, files=(), **lengths):
    """The flags of an example.

    Args:
        document: String, the example's docstring.
        argv: List of strings, or `None` for the command line's.
        seeds: Int. How many there are by default.
        files: Names of flags for paths.
        **lengths: Flags for ints, each a pair: its default, and that with
            `--short`.
    """
    parser = argparse.ArgumentParser(
        description=document,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--short", action="store_true", help="in a minute")
    parser.add_argument("--seeds", type=int)
    for name in files:
        parser.add_argument(f"--{name}", type=pathlib.Path)
    for name, (full, _) in lengths.items():
        help = f"default: {full}"
        parser.add_argument(f"--{name}", type=int, help=help)
    found = parser.parse_args(argv)
    for name, values in {**lengths, "seeds": (seeds, 1)}.items():
        if getattr(found, name) is None:
            setattr(found, name, values[found.short])
    return found


def fitted(short=False):
    """The optimizers for `fit`: from names, functions that make each anew.

    Each returns the optimizer and a list of callbacks.

    Args:
        short: Bool. If `True`, two of them only.
    """
    horizon = keras_l2o.callbacks.Horizon
    found = {"general": lambda: (keras_l2o.from_hub("general"), [horizon()])}
    for rate in () if short else RATES:
        found[f"AdamW {rate:g}, cosine"] = lambda rate=rate: (
            keras.optimizers.AdamW(rate),
            [horizon(warmup=WARMUP)],
        )
    found["Adam 0.001"] = lambda: (keras.optimizers.Adam(), [])
    return found


def looped(steps, short=False):
    """The optimizers for a loop of your own, as `fitted` has them for `fit`.

    Args:
        steps: Int. The loop's steps, which nobody else tells the optimizer.
        short: Bool. If `True`, two of them only.
    """

    def cosine(rate):
        rising = max(round(WARMUP * steps), 1)
        return keras.optimizers.schedules.CosineDecay(
            0.0, steps - rising, warmup_target=rate, warmup_steps=rising
        )

    found = {
        "general": lambda: keras_l2o.from_hub("general", total_steps=steps)
    }
    for rate in () if short else RATES:
        found[f"AdamW {rate:g}, cosine"] = lambda rate=rate: (
            keras.optimizers.AdamW(cosine(rate))
        )
    found["Adam 0.001"] = keras.optimizers.Adam
    return found


def classifying(network, data, held, batch, epochs, trained=None):
    """What `compare` trains, of classes: `compile`, `fit` and `evaluate`.

    Args:
        network: Function that makes the model, whose outputs are logits.
        data: Pair of arrays to train on.
        held: Pair of arrays to judge by.
        batch, epochs: Ints.
        trained: Function that the trained model goes through before it is
            judged. Defaults to `None`.
    """

    def train(make, seed):
        optimizer, callbacks = make()
        keras.utils.set_random_seed(seed)
        model = network()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
        history = model.fit(
            *data, batch, epochs, verbose=0, callbacks=callbacks
        )
        model = trained(model) if trained else model
        loss, accuracy = model.evaluate(*held, verbose=0)
        figures = {"validation loss": loss, "accuracy": accuracy}
        return history.history["loss"], figures

    return train


def compare(train, optimizers, seeds):
    """Trains with each optimizer, and prints a table.

    Args:
        train: Function of one of `optimizers` and of a seed that returns a
            list of losses over time and a dict of figures. The optimizer comes
            before the seed, for to make one may draw numbers, too.
        optimizers: Dict from names to functions without arguments.
        seeds: Int.

    Returns:
        Dict from names to lists, of a seed each, of what `train` returned.
    """
    runs = {}
    begin = time.process_time()
    for name, make in optimizers.items():
        runs[name] = []
        start = time.process_time()
        for seed in range(seeds):
            runs[name].append(train(make, seed))
        figures = [figures for _, figures in runs[name]]
        heads = [*figures[0], "CPU s"]
        if len(runs) == 1:
            print(_line("", heads, heads))
        cells = [_cell([run[key] for run in figures]) for key in figures[0]]
        cells.append(f"{(time.process_time() - start) / seeds:.0f}")
        print(_line(name, cells, heads), flush=True)
    minutes = (time.process_time() - begin) / 60
    backend = keras.backend.backend()
    print(f"{backend}, {seeds} seeds, {minutes:.1f} minutes of CPU")
    return runs


def _cell(values):
    mean = f"{np.mean(values):#.3g}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values):.1g}"


def _line(name, cells, heads):
    widths = [*(max(len(head) + 2, 17) for head in heads[:-1]), 7]
    cells = [f"{cell:>{width}}" for cell, width in zip(cells, widths)]
    return "".join([f"{name:20}", *cells])
