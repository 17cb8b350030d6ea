import pytest

from tests.strategies.helpers import Bench


@pytest.fixture(scope="package")
def bench(tiny_data):
    return Bench(tiny_data)
