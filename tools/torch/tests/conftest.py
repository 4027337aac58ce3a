from collections.abc import Iterator

import pytest
from driver import Driver


@pytest.fixture(scope="session")
def judge() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.close()
