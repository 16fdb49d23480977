"""Tell people by e-mail, over SMTP."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import msgspec

from mainspring.ground.errors import BadInputError, UnavailableError
from mainspring.ground.rules import Message

TIMEOUT_S = 20.0


class MailServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where mail is handed in."""

    host: str
    port: int = 587
    security: str = "starttls"  #: starttls, tls or none
    user: str = ""


class MailNotifier:
    """Hands a message to an SMTP server, with the same Message-ID at every try.

    The server's certificate is verified. A password is never sent without TLS.
    """

    def __init__(
        self, server: MailServer, sender: str, to: Sequence[str], password: str | None
    ) -> None:
        self._server, self._sender, self._to, self._password = server, sender, list(to), password

    def send(self, message: Message, at: float) -> str:
        """Hand it in and return how many were written to.

        Raises:
            UnavailableError: if nobody answers, or the server says to come again.
            BadInputError: if the server refuses sender, password or every recipient.
        """
        where = f"{self._server.host}:{self._server.port}"
        try:
            smtp = self._connected()
            try:
                refused = smtp.send_message(self.letter(message, at), self._sender, self._to)
            finally:
                # A goodbye that goes wrong does not unsend what was taken.
                with contextlib.suppress(OSError, smtplib.SMTPException):
                    smtp.quit()
                smtp.close()
        except smtplib.SMTPRecipientsRefused as error:
            codes = {code for code, _ in error.recipients.values()}
            if max(codes) < 500:
                raise UnavailableError(f"{where} takes nobody now: {sorted(codes)}.") from None
            raise BadInputError(f"{where} takes none of the recipients.", field="to") from None
        except smtplib.SMTPResponseException as error:
            told = f"{where} answered {error.smtp_code}."
            if error.smtp_code < 500:
                raise UnavailableError(told) from None
            raise BadInputError(told, field="target") from None
        except (OSError, smtplib.SMTPException) as error:
            raise UnavailableError(f"{where} does not answer: {type(error).__name__}.") from error
        return f"sent to {len(self._to) - len(refused)} of {len(self._to)}"

    def letter(self, message: Message, at: float) -> EmailMessage:
        """Return the mail."""
        from datetime import UTC, datetime

        # One line: a subject is made of names that came from outside.
        subject = " ".join(f"[{message.event}] {message.title}".split())[:250]
        mail = EmailMessage(policy=SMTP)
        mail["Subject"] = subject
        mail["From"], mail["To"] = self._sender, ", ".join(self._to)
        mail["Date"] = format_datetime(datetime.fromtimestamp(at, UTC))
        domain = self._sender.rpartition("@")[2].strip(">") or "mainspring"
        mail["Message-ID"] = f"<{message.id}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content("\n".join([message.title, "", *message.lines]) + "\n")
        return mail

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        context = ssl.create_default_context()
        if server.security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=TIMEOUT_S, context=context
            )
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
        try:
            if server.security == "starttls":
                smtp.starttls(context=context)
            if server.user and self._password is not None:
                smtp.login(server.user, self._password)
        except BaseException:
            smtp.close()
            raise
        return smtp
