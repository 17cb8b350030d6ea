import pytest

from tests.commands.processes import Imported


@pytest.fixture(scope="session")
def imported(tmp_path_factory):
    """An `Imported`, which starts commands in processes of their own."""
    made = Imported(tmp_path_factory.mktemp("printed"))
    yield made
    made.close()
