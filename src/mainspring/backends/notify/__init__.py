"""The ways to tell people: log, webhook, mail, Slack's form, apprise, command.

Each passes on a :class:`mainspring.ground.rules.Message`; see
:class:`mainspring.ground.ports.Notifier` for what all of them promise.
"""
