import pytest

import keras_l2o


@pytest.fixture(scope="module")
def uncompiled():
    """For many small models: what is compiled takes long for each of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras_l2o.backend, "compiled", lambda function: function)
        yield
