"""The commands that measure: evaluate, baseline, gridsearch."""

import enum
import itertools
import pathlib

import typer

from keras_l2o_commands.declare import declare
from keras_l2o_commands.interruption import goes_on
from keras_l2o_commands.run_progress import run_progress
from keras_l2o_commands.tables import print_line
from keras_l2o_commands.tables import print_search
from keras_l2o_commands.tables import print_summary


class Rates(enum.StrEnum):
    """Where a baseline's rate comes from."""

    train = "train"
    deep = "deep"
    tuned = "tuned"


PROBLEM = typer.Option(help="Name of a problem, or several with commas.")
DATASET = typer.Option(None, help="Another data set, such as digits.")
EXAMPLES = typer.Option(None, help="Train on the first of the examples only.")
BATCH_SIZE = typer.Option(
    None, "--batch-size", "--batch_size", help="Default: the problem's."
)
EPOCHS = typer.Option(None, help="Default: 25 for classifiers.")
STEPS = typer.Option(None, help="Instead of epochs. Default: 1000, functions.")
SEED = typer.Option(0, help="Seed of the first run; the next has the next.")
OVERWRITE = typer.Option(
    False, "--overwrite", help="Replace an evaluation with other settings."
)
RULES = typer.Option(
    "adam,rmsprop,sgd,momentum,powersign,addsign", help="With commas."
)


RATES = typer.Option(
    Rates.train,
    help="The rates for conv_train, for deeper networks, or those that "
    "gridsearch found for this problem in this directory.",
)


def register(application):
    """Adds the commands to a `typer.Typer`."""
    for command in (evaluate, baseline, gridsearch):
        declare(application, goes_on(command))


def evaluate(
    context: typer.Context,
    problem: str = PROBLEM,
    directory: str = typer.Option(
        help="Run directory. The results go into its folder evaluations; of a "
        "run of several replicates, into that of each."
    ),
    optimizer: str = typer.Option(
        None,
        help="Another optimizer than the directory's: a name of the hub, a "
        "folder, or a rule such as adam.",
    ),
    family: str = typer.Option(
        None,
        help="All replicates of a bundled family; each has its folder in "
        "DIRECTORY/FAMILY.",
    ),
    learning_rate: float = typer.Option(
        None,
        "--learning-rate",
        "--learning_rate",
        help="The optimizer's learning_rate, which multiplies the update. "
        "Default: its own.",
    ),
    repeat: int = typer.Option(10, min=1, help="Number of runs."),
    epochs: int = EPOCHS,
    steps: int = STEPS,
    dataset: str = DATASET,
    examples: int = EXAMPLES,
    batch_size: int = BATCH_SIZE,
    seed: int = SEED,
    trace: int = typer.Option(
        None, help="Look every so many steps at what the optimizer does."
    ),
    overwrite: bool = OVERWRITE,
):
    """Trains new models with an optimizer and validates them.

    What is stored already is not run again, and an evaluation that was cut
    off goes on. On JAX up to 64 runs go side by side, and are stored together.

    Example: keras-l2o evaluate --problem=conv_train
    --directory=results/rnnprop/min-max/1 --repeat=10
    """
    from keras_l2o import evaluation

    options = {
        "repeat": repeat,
        "epochs": epochs,
        "steps": steps,
        "dataset": dataset,
        "examples": examples,
        "batch_size": batch_size,
        "seed": seed,
        "trace": trace,
        "overwrite": overwrite,
    }
    if family is not None:
        if optimizer is not None:
            raise ValueError("Give one of --optimizer and --family.")
        replicates, name = _bundled(family, directory), family
    elif optimizer is None:
        replicates, name = _of_run(directory), pathlib.Path(directory).name
    else:
        replicates = {}

    def chosen(source):
        if learning_rate is None:
            return source
        return evaluation.contender.contender(source).at(learning_rate)

    if replicates:
        optimizers = list(map(chosen, replicates))
        folders = list(replicates.values())
        _evaluate_family(name, optimizers, folders, problem.split(","), options)
        return
    for name in problem.split(","):
        length = _epochs(name, options)
        with run_progress(name, repeat, length) as advance:
            evaluation.evaluate(
                chosen(optimizer or directory),
                name,
                directory=directory,
                on_epoch=lambda run, epoch, logs: advance(
                    run, _epoch_line(epoch, logs)
                ),
                **options,
            )
        path = evaluation.storage.path_in(directory, name)
        stored = evaluation.read(path).first(repeat)
        print_summary(stored.frame())
        if stored.settings["privacy"]:
            spent = stored.settings["privacy"]
            print_line(
                f"epsilon {spent['epsilon']:.3g}, delta {spent['delta']:g}"
            )
        print_line(f"stored in {path}")


def _bundled(family, directory):
    """Where each replicate of a bundled family is stored, by its name."""
    from keras_l2o import hub

    names = list(hub.names.replicates(family))
    if not names:
        raise ValueError(
            f"There is no bundled family {family!r}. `keras-l2o list` has all."
        )
    return {name: pathlib.Path(directory, name) for name in names}


def _of_run(directory):
    """Where each of a run's replicates is stored; none if it is one alone."""
    from keras_l2o import strategies

    folders = strategies.RunDirectory(directory).optimizers()
    return {str(f.parent): f.parent for name, f in folders.items() if name}


def _evaluate_family(family, optimizers, folders, problems, options):
    from keras_l2o import evaluation

    repeat = options["repeat"]
    for problem in problems:
        total = len(optimizers) * repeat
        length = _epochs(problem, options)
        with run_progress(problem, total, length) as advance:
            frame = evaluation.evaluate_replicates(
                optimizers,
                problem,
                directories=folders,
                on_epoch=lambda replicate, run, epoch, logs: advance(
                    (replicate - 1) * repeat + run,
                    f"{family}/{replicate}, {_epoch_line(epoch, logs)}",
                ),
                **options,
            )
        print_summary(frame.assign(optimizer=family))
        print_line(f"stored in {folders[0].parent}")


def baseline(
    context: typer.Context,
    problem: str = PROBLEM,
    directory: str = typer.Option(help="Where the results go."),
    rules: str = RULES,
    rates: Rates = RATES,
    rate: float = typer.Option(None, help="One rate for all, instead."),
    repeat: int = typer.Option(10, min=1, help="Number of runs of each."),
    epochs: int = EPOCHS,
    steps: int = STEPS,
    dataset: str = DATASET,
    examples: int = EXAMPLES,
    batch_size: int = BATCH_SIZE,
    seed: int = SEED,
    overwrite: bool = OVERWRITE,
):
    """Evaluates analytic rules, to have something to compare with.

    Example: keras-l2o baseline --problem=conv_train
    --directory=results/baseline --rules=adam,sgd --rates=tuned
    """
    import pandas

    from keras_l2o import evaluation

    for name in problem.split(","):
        chosen = _rates(rules.split(","), rates, rate, directory, name)
        frames = []
        with run_progress(name, len(chosen)) as advance:
            for number, (rule, value) in enumerate(chosen.items()):
                frames.append(
                    evaluation.baselines(
                        name,
                        {rule: value},
                        directory=directory,
                        repeat=repeat,
                        epochs=epochs,
                        steps=steps,
                        dataset=dataset,
                        examples=examples,
                        batch_size=batch_size,
                        seed=seed,
                        overwrite=overwrite,
                    )
                )
                advance(number, rule)
        print_summary(pandas.concat(frames, ignore_index=True))
        print_line(f"stored in {pathlib.Path(directory, 'baselines')}")


def _rates(rules, rates, rate, directory, problem):
    from keras_l2o.evaluation import rules as analytic
    from keras_l2o.evaluation import search

    for rule in rules:
        analytic.rule(rule)  # an unknown name fails before anything runs
    if rate is not None:
        return dict.fromkeys(rules, rate)
    if rates is Rates.tuned:
        found = search.best_rates(search.read(directory, problem))
        missing = [rule for rule in rules if rule not in found]
        if missing:
            raise ValueError(
                f"The search in {directory} did not try {', '.join(missing)}. "
                "Run gridsearch with these rules."
            )
    else:
        found = {
            Rates.train: analytic.TRAIN_RATES,
            Rates.deep: analytic.DEEP_RATES,
        }[rates]
    return {rule: found[rule] for rule in rules}


def gridsearch(
    context: typer.Context,
    problem: str = PROBLEM,
    directory: str = typer.Option(help="Where the results go."),
    rules: str = RULES,
    rates: str = typer.Option(
        None, help="With commas. Default: 5e-4, 1e-3, 2e-3, 5e-3, ... 1."
    ),
    epochs: int = typer.Option(5, help="Length of each run."),
    steps: int = typer.Option(None, help="Instead of epochs."),
    repeat: int = typer.Option(1, min=1, help="Runs of each rate."),
    dataset: str = DATASET,
    examples: int = EXAMPLES,
    batch_size: int = BATCH_SIZE,
    seed: int = SEED,
    overwrite: bool = OVERWRITE,
):
    """Finds each analytic rule's best rate on a problem, by validation loss.

    Example: keras-l2o gridsearch --problem=conv_train
    --directory=results/baseline
    """
    from keras_l2o import evaluation
    from keras_l2o.evaluation import search

    chosen = search.RATES
    if rates is not None:
        chosen = tuple(_number(text) for text in rates.split(","))
    names = rules.split(",")
    for name in problem.split(","):
        with run_progress(name, len(names) * len(chosen)) as advance:
            number = itertools.count()
            frame = evaluation.gridsearch(
                name,
                rules=names,
                rates=chosen,
                epochs=epochs,
                steps=steps,
                seeds=range(seed, seed + repeat),
                directory=directory,
                on_run=lambda rule, rate, advance=advance, number=number: (
                    advance(next(number), f"{rule} {rate:g}")
                ),
                dataset=dataset,
                examples=examples,
                batch_size=batch_size,
                overwrite=overwrite,
            )
        best, oracle = evaluation.best_rates(frame), evaluation.oracle(frame)
        print_search(frame, best, oracle)
        print_line(f"stored in {search.path_in(directory, name)}")


def _number(text):
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(
            "Option --rates must be numbers with commas between them. "
            f"Received: {text!r}"
        ) from error


def _epochs(problem, options):
    """How many epochs a run has, or `None` where only its steps are known."""
    from keras_l2o.problems import catalogue

    if options["epochs"] is not None:
        return options["epochs"]
    if problem not in catalogue.CATALOGUE:
        return 1  # an unknown name, which fails at once
    entry = catalogue.CATALOGUE[problem]
    if isinstance(entry, catalogue.FunctionEntry):
        return 10
    return None if options["steps"] is not None else entry.epochs


def _epoch_line(epoch, logs):
    loss = logs.get("loss")
    return f"epoch {epoch + 1}" + ("" if loss is None else f", {loss:.3g}")
