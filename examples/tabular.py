"""Two small tables of scikit-learn: patients to measure, tumors to tell apart.

    python examples/tabular.py    # scikit-learn comes with the extra `tuner`

It shows what to do where data are few. A learned optimizer fits a small table
soon and then learns it by heart, so early stopping keeps the best weights, by
rows that are neither trained nor tested on.
"""

import keras
import numpy as np
import side_by_side
import sklearn.datasets
from keras import layers

BATCH = 32
TABLES = {
    "diabetes": sklearn.datasets.load_diabetes,
    "breast_cancer": sklearn.datasets.load_breast_cancer,
}


def parts(table, seed):
    """Rows to train, to validate and to test on: 60, 20 and 20 in a hundred."""
    x, y = TABLES[table](return_X_y=True)
    y = y[:, None].astype("float32")
    order = np.random.default_rng(seed).permutation(len(x))
    ends = len(x) * 6 // 10, len(x) * 8 // 10
    rows = np.split(order, ends)
    x = (x - x[rows[0]].mean(0)) / x[rows[0]].std(0)
    if table == "diabetes":
        y = (y - y[rows[0]].mean()) / y[rows[0]].std()
    return [(x[some].astype("float32"), y[some]) for some in rows]


def network(columns):
    """A network with one output."""
    return keras.Sequential(
        [
            keras.Input((columns,)),
            layers.Dense(64, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(1),
        ]
    )


def trained(table, make, seed, epochs):
    """Losses of the epochs, and figures on rows that were not seen."""
    optimizer, callbacks = make()
    keras.utils.set_random_seed(seed)
    training, validation, test = parts(table, seed)
    model = network(training[0].shape[1])
    loss = "mse"
    if table == "breast_cancer":
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss)
    stopping = keras.callbacks.EarlyStopping(
        patience=epochs, restore_best_weights=True
    )
    history = model.fit(
        *training,
        BATCH,
        epochs,
        validation_data=validation,
        verbose=0,
        callbacks=[*callbacks, stopping],
    ).history
    figures = {
        "training loss": history["loss"][-1],
        "best epoch": 1 + int(np.argmin(history["val_loss"])),
        "test loss": model.evaluate(*test, verbose=0),
    }
    return history["loss"], figures


def main(argv=None):
    arguments = side_by_side.arguments(__doc__, argv, seeds=2, epochs=(40, 3))
    tables = list(TABLES)[:1] if arguments.short else TABLES
    runs = {}
    for table in tables:
        rows, columns = TABLES[table](return_X_y=True)[0].shape
        print(f"\n{table}: {rows} rows of {columns} columns")

        def train(make, seed, table=table):
            return trained(table, make, seed, arguments.epochs)

        found = side_by_side.compare(
            train, side_by_side.fitted(arguments.short), arguments.seeds
        )
        runs |= {f"{table}, {name}": run for name, run in found.items()}
    return runs


if __name__ == "__main__":
    main()
