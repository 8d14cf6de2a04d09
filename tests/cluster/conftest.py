# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several files share; they stand on the file's own `cluster`."""
import pytest

from heal import Healing


@pytest.fixture(scope="module")
def healing(cluster):
    return Healing(cluster)


@pytest.fixture
def healed(healing):
    """Behind each fault all is whole again, and nothing is left of it."""
    yield
    healing.wait()
