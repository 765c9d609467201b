import pytest

from tests.retrievers.doubles import write_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """The folder of a model that reads text and pictures."""
    return write_clip(tmp_path_factory.mktemp("clip"))
