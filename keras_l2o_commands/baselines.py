"""The commands that run analytic rules: `baseline` and `gridsearch`."""

import dataclasses
import enum
import pathlib
from typing import Annotated

import typer

from keras_l2o_commands.declare import declare
from keras_l2o_commands.declare import grouped
from keras_l2o_commands.interruption import goes_on
from keras_l2o_commands.options import Data
from keras_l2o_commands.options import Length
from keras_l2o_commands.options import Problems
from keras_l2o_commands.options import Where
from keras_l2o_commands.run_progress import run_progress
from keras_l2o_commands.tables import print_line
from keras_l2o_commands.tables import print_search
from keras_l2o_commands.tables import print_summary


class Rates(enum.StrEnum):
    """Where the learning rates of a baseline come from."""

    train = "train"
    deep = "deep"
    tuned = "tuned"


RULES = "adam,rmsprop,sgd,momentum,powersign,addsign"


@dataclasses.dataclass(frozen=True)
class Rules:
    """Options of `baseline`: which rules are run, and at which rates."""

    rules: Annotated[
        str, typer.Option(help="Names of rules, separated by commas.")
    ] = RULES
    rates: Annotated[
        Rates,
        typer.Option(
            help="Learning rates: train for those tuned on conv_train, deep "
            "for those of deeper networks, tuned for those that gridsearch "
            "found for this problem in this directory."
        ),
    ] = Rates.train
    rate: Annotated[
        float | None,
        typer.Option(help="One learning rate for all rules, instead."),
    ] = None


@dataclasses.dataclass(frozen=True)
class Grid:
    """Options of `gridsearch`: which rules are tried, at which rates."""

    rules: Annotated[
        str, typer.Option(help="Names of rules, separated by commas.")
    ] = RULES
    rates: Annotated[
        str | None,
        typer.Option(
            help="Learning rates to try, separated by commas. Default: 5e-4, "
            "1e-3, 2e-3, 5e-3, ... 1."
        ),
    ] = None


@dataclasses.dataclass(frozen=True)
class SearchLength(Length):
    """`Length` with other defaults: a search makes fewer and shorter runs."""

    epochs: Annotated[int, typer.Option(help="Epochs of each run.")] = 5
    repeat: Annotated[
        int, typer.Option(min=1, help="Number of runs at each learning rate.")
    ] = 1


def register(application):
    """Adds the commands of this module to an application.

    Args:
        application: `typer.Typer`.
    """
    for command in (baseline, gridsearch):
        declare(application, goes_on(command))


@grouped
def baseline(
    context: typer.Context,
    problem: Problems,
    chosen: Rules,
    length: Length,
    data: Data,
    where: Where,
    directory: str = typer.Option(help="Folder where the results are stored."),
):
    """Evaluates analytic rules, as a baseline for learned optimizers.

    Example: keras-l2o baseline --problem=conv_train
    --directory=results/baseline --rules=adam,sgd --rates=tuned
    """
    from keras_l2o import evaluation

    with where.cluster() as cluster:
        for name in problem.names:
            rates = _rates(chosen, directory, name)
            with run_progress(name, len(rates)) as progress:
                frame = evaluation.baselines(
                    name,
                    rates,
                    directory=directory,
                    on_run=progress.advance,
                    cluster=cluster,
                    **vars(length),
                    **vars(data),
                )
            print_summary(frame)
            print_line(f"stored in {pathlib.Path(directory, 'baselines')}")


def _rates(chosen, directory, problem):
    """Dict from the chosen rules to their rates, floats, on a problem."""
    from keras_l2o.evaluation import rules as analytic
    from keras_l2o.evaluation import search

    rules = chosen.rules.split(",")
    for rule in rules:
        analytic.rule(rule)  # an unknown name fails before anything runs
    if chosen.rate is not None:
        return dict.fromkeys(rules, chosen.rate)
    if chosen.rates is Rates.tuned:
        found = search.best_rates(search.read(directory, problem))
        missing = [rule for rule in rules if rule not in found]
        if missing:
            raise ValueError(
                f"The search in {directory} did not try {', '.join(missing)}. "
                "Run `keras-l2o gridsearch` with these rules."
            )
    else:
        found = {
            Rates.train: analytic.TRAIN_RATES,
            Rates.deep: analytic.DEEP_RATES,
        }[chosen.rates]
    return {rule: found[rule] for rule in rules}


@grouped
def gridsearch(
    context: typer.Context,
    problem: Problems,
    grid: Grid,
    length: SearchLength,
    data: Data,
    where: Where,
    directory: str = typer.Option(help="Folder where the results are stored."),
):
    """Finds each analytic rule's best learning rate, by validation loss.

    Example: keras-l2o gridsearch --problem=conv_train
    --directory=results/baseline
    """
    from keras_l2o import evaluation
    from keras_l2o.evaluation import search

    rates = search.RATES
    if grid.rates is not None:
        rates = tuple(_number(text) for text in grid.rates.split(","))
    rules = grid.rules.split(",")
    with where.cluster() as cluster:
        for name in problem.names:
            with run_progress(name, len(rules) * len(rates)) as progress:
                frame = evaluation.gridsearch(
                    name,
                    rules=rules,
                    rates=rates,
                    epochs=length.epochs,
                    steps=length.steps,
                    seeds=range(length.seed, length.seed + length.repeat),
                    directory=directory,
                    on_run=lambda rule, rate, progress=progress: (
                        progress.advance(f"{rule} {rate:g}")
                    ),
                    cluster=cluster,
                    **vars(data),
                )
            print_search(frame, evaluation.best_rates(frame))
            print_line(f"stored in {search.path_in(directory, name)}")


def _number(text):
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(
            "Option --rates must be numbers with commas between them. "
            f"Received: {text!r}"
        ) from error
