"""What a search does to its directory, and what it leaves alone there."""

import pytest

from keras_l2o.files.lock import Locked
from keras_l2o.tuner import search
from keras_l2o.tuner.errors import SearchError
from tests.tuner.helpers import hypermodel

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:keras_tuner.*"
)


def test_a_tuner_deletes_nothing_of_others(tmp_path):
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / "notes.txt").write_text("mine")
    search.make_tuner("random", hypermodel(), tmp_path, 3, None)
    assert (tmp_path / "trials" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["trials", "optimizer", "best.json"])
def test_a_new_search_spares_what_is_in_its_way(name, tmp_path):
    (tmp_path / name).mkdir()
    with (
        pytest.raises(SearchError, match="in the way of a new search"),
        search.open_directory(tmp_path, {}),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_config_of_no_search_is_refused(text, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with (
        pytest.raises(SearchError, match=r"config\.json"),
        search.open_directory(tmp_path, {}),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_directory_is_one_searchs_at_a_time(tmp_path, monkeypatch):
    def opened(workers=1):
        return search.open_directory(tmp_path, {"seed": 1}, workers)

    with opened(workers=2):
        with pytest.raises(Locked, match="in use by process"), opened():
            pass
        monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
        monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
        with opened():  # the chief that the first has started
            with pytest.raises(Locked, match="in use by process"), opened():
                pass
    with opened():
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
