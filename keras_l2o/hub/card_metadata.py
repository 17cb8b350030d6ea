"""The part of a model card that the Hub reads: tags and results."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

TAGS = ["keras", "keras-l2o", "learned-optimizer", "learning-to-optimize"]


class HubDataset(NamedTuple):
    """A data set as the Hub knows it.

    Attributes:
        identity: String, its repository.
        name: String, for people.
    """

    identity: str
    name: str


#: By the name that TensorFlow Datasets and problems have for a set. Only what
#: was measured on one of these is a result to the Hub.
DATASETS = {
    "cifar10": HubDataset("uoft-cs/cifar10", "CIFAR-10"),
    "cifar100": HubDataset("uoft-cs/cifar100", "CIFAR-100"),
    "fashion_mnist": HubDataset(
        "zalando-datasets/fashion_mnist", "Fashion-MNIST"
    ),
    "mnist": HubDataset("ylecun/mnist", "MNIST"),
}
#: The figures that are results, and what people call them.
FIGURES = {
    "accuracy": "accuracy",
    "log_loss_from_oracle": "log loss from the best tuned rule",
}


def data(
    title: str,
    families: Mapping[str, Sequence[Mapping[str, float]]],
    datasets: Mapping[str, str],
) -> Any:
    """The metadata of a card: of each family its means, problem by problem.

    Args:
        title: String.
        families: Dict from families to lists of dicts, the figures of each
            optimizer by name, such as `"conv_fmnist.accuracy"`.
        datasets: Dict from problems to the names of their data sets. A problem
            that is not in it is taken for a data set itself.

    Returns:
        A `huggingface_hub.ModelCardData`.
    """
    import huggingface_hub

    results: list[Any] = []
    read: dict[str, None] = {}
    for family, members in families.items():
        for name, values in _by_name(members).items():
            problem, _, figure = name.rpartition(".")
            dataset = DATASETS.get(datasets.get(problem, problem))
            if dataset is None or figure not in FIGURES:
                continue
            read[dataset.identity] = None
            words = f"{problem}: {FIGURES[figure]}"
            if len(families) > 1:
                words = f"{family}, {words}"
            if len(values) > 1:
                words += f", mean of {len(values)} replicates"
            results.append(
                huggingface_hub.EvalResult(
                    task_type="image-classification",
                    task_name="Image classification with the optimizer",
                    dataset_type=dataset.identity,
                    dataset_name=dataset.name,
                    metric_type=figure,
                    metric_name=words,
                    metric_value=round(sum(values) / len(values), 4),
                )
            )
    options: dict[str, Any] = {}
    if results:  # all or none: the Hub has no place for a model without
        options = {
            "datasets": list(read),
            "model_name": title,
            "eval_results": results,
        }
    return huggingface_hub.ModelCardData(
        license="mit",
        library_name="keras",
        tags=[*TAGS, *families],
        **options,
    )


def _by_name(members):
    """Dict from names of figures to the values that members have of them."""
    found: dict[str, list[float]] = {}
    for figures in members:
        for name, value in figures.items():
            found.setdefault(name, []).append(value)
    return found
