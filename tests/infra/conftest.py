"""The template, worked out and deployed."""

from collections.abc import Iterator

import pytest

from tests.infra import account as accounts
from tests.infra.account import Account
from tests.infra.template import Deployed


@pytest.fixture(scope="session")
def deployed() -> Deployed:
    """The template with its default parameters, in Ireland."""
    return Deployed()


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account in which the template is deployed, in Ireland."""
    with accounts.running(tmp_path_factory.mktemp("account") / "moto.log") as empty:
        empty.deploy(NotificationEmail="orchard@example.eu")
        yield empty
