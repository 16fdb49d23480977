"""Tell people over anything that apprise knows: one URL. Needs the extra ``notify``."""

from __future__ import annotations

from mainspring.ground import extras
from mainspring.ground.errors import BadInputError, UnavailableError
from mainspring.ground.rules import Message

_TYPES = {"ALARM": "failure", "OK": "success", "TEST": "info", "NOTICE": "warning"}


class AppriseNotifier:
    """Hands a message to apprise. The URL holds the secret, so that nothing repeats it."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, message: Message, at: float) -> str:  # noqa: ARG002  it has a clock of its own
        """Hand it over and return that it was taken.

        Raises:
            MissingExtraError: if apprise is not installed.
            BadInputError: if apprise does not know the form of the URL.
            UnavailableError: if the service did not take it.
        """
        apprise = extras.need("apprise", extra="notify", purpose="Telling people over apprise")
        house = apprise.Apprise()
        if not house.add(self._url):
            raise BadInputError(
                "apprise does not know this form of URL.",
                field="url",
                hint="Its forms: https://github.com/caronc/apprise/wiki",
            )
        body = "\n".join(message.lines) or message.title
        if not house.notify(body=body, title=message.title, notify_type=_TYPES[message.event]):
            raise UnavailableError("apprise could not deliver it.")
        return "taken by apprise"
