"""The untuned backbone keeps the contract of methods."""

from short_contract import ShortContract

from pvbench.methods.base import Base


class TestBase(ShortContract):
    method = Base
