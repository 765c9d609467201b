"""Components are found by name, from inside and outside the package, and say what they need."""

import pytest

from kd_rag import registry
from kd_rag.types import InputError


class Outside:
    """A component that a user brings."""

    def __init__(self, given, *, strength: int = 3, needed: str):
        self.parts = (given, strength, needed)


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_every_member_can_be_found_and_is_described(family):
    assert registry.names(family)
    for name in registry.names(family):
        assert registry.find(family, name).__doc__, f"{family} {name} has no docstring for `options`"
        registry.options(family, name)


def test_a_component_outside_the_package():
    name = f"{__name__}:Outside"
    assert registry.options("ocr", name) == {"strength": (int, 3), "needed": (str, registry.inspect.Parameter.empty)}
    assert registry.build("ocr", {"name": name, "needed": "x"}, "given").parts == ("given", 3, "x")
    with pytest.raises(InputError, match="needs the option 'needed'"):
        registry.build("ocr", {"name": name}, "given")


def test_an_extra_that_is_not_installed_is_one_sentence():
    with pytest.raises(
        InputError, match=r"absent_package is not installed; install it with: pip install 'kd-rag\[demo\]'"
    ):
        registry.require("absent_package", "demo")


def test_an_unknown_family_is_named():
    with pytest.raises(InputError, match="unknown family 'ocrs'"):
        registry.names("ocrs")
