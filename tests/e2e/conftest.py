import pytest

from gate import BINARY, Gate, World


@pytest.fixture(scope="session")
def gate(tmp_path_factory):
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is not there; make builds it", 2)
    g = Gate(tmp_path_factory.mktemp("gate"))
    yield g
    g.stop()


@pytest.fixture
def world(gate):
    w = World(gate)
    yield w
    w.finish()
