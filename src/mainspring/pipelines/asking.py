"""Decide what a controller that waits does next: ask, go on with the answer, or give up.

As all that controllers decide (:mod:`controls`) each is a function of what is known.
"""

from __future__ import annotations

from mainspring.pipelines.verdicts import End, Fail, Lot, Plant, Sleep, Verdict, View, told_of


def approval(view: View) -> Verdict:
    """Return what a step does that asks a person, or has their answer."""
    asked = _asked(view, f"waits for an approval: {view.settings['message'] or view.name}")
    if asked is not None:
        return asked
    news = view.news()
    if news is None or news.get("expired"):
        return _refused(view, view.settings["on_expiry"], "nobody approved it in time")
    told = f"by {news['by']}: {news['reason']}"
    if news["approved"]:
        return End(result={"value": True}, why=f"approved {told}")
    return _refused(view, view.settings["on_rejection"], f"rejected {told}")


def _refused(view: View, as_declared: str, told: str) -> Verdict:
    if as_declared == "continue":
        return End(result={"value": False}, why=told)
    return Fail(error=told, types=["NotApproved"], memo={**view.memo, "over": True})


def event(view: View) -> Verdict:
    """Return what a step does that waits for news of an event, or has them."""
    asked = _asked(view, f"waits for the event {view.settings['name']}")
    if asked is not None:
        return asked
    news = view.news()
    if news is None or news.get("expired"):
        told = "the event did not come in time"
        if view.settings["on_expiry"] == "continue":
            return End(why=told)
        return Fail(error=told, types=["EventExpired"], memo={**view.memo, "over": True})
    if "error" in news:
        told = f"{news['by']} signalled: {news['error']}"
        types = [news["type"], "EventFailed", "Exception"]
        return Fail(error=told, types=types, memo={**view.memo, "over": True})
    return End(result={"value": news["value"]}, why=f"signalled by {news['by']}")


def callback(view: View) -> Verdict:
    """Return what a step does that hands a token out, or has an answer by it."""
    memo, settings = view.memo, view.settings
    if not memo or memo.get("over"):
        return _handing_out(view, int(memo.get("asked", 0)) + 1)
    number = int(memo["asked"])
    broken = view.broken.get(number - 1)
    if broken:  # nobody was told; a resumed run sends again
        return Fail(error=told_of(broken), types=broken[0].types)
    news = view.news()
    if news is None and memo["part"] == "send":
        why = f"waits for the callback {settings['name']}"
        return Sleep(until=None, memo={**memo, "part": "asked"}, why=why)
    if news is None or news.get("expired"):
        return _unanswered(view)
    if "error" in news:
        types = [news["type"], "CallbackFailed", "Exception"]
        return Fail(
            error=f"it was answered: {news['error']}", types=types, memo={**memo, "over": True}
        )
    return End(result={"value": news["value"]}, why="answered by who had the token")


def _handing_out(view: View, number: int) -> Plant:
    """Return that a token is handed out, again and again; an answer may come at once."""
    own, settings = f"{view.name}[{number - 1}]", view.settings
    expires, beat = settings["expires_s"], settings["heartbeat_s"]
    until = None if expires is None else view.now + expires
    token = {"token": {"step": view.name, "asked": number}}
    block = view.blocks["send"].filled(lambda step: f"{own}.{step}", {"token": token})
    memo = {"asked": number, "part": "send", "until": until}
    due = min((one for one in (expires, beat) if one is not None), default=None)
    return Plant(
        lots=[Lot(number=number - 1, block=block)],
        memo=memo,
        why=f"hands out a token for the callback {settings['name']}",
        asks=Sleep(until=None if due is None else view.now + due, memo=memo, why=""),
    )


def _unanswered(view: View) -> Verdict:
    until, types = view.memo.get("until"), ["CallbackExpired", "TimeoutError"]
    told = "the callback did not come in time"
    if until is None or view.now < until:
        told = f"who has the token gave no sign of life for {view.settings['heartbeat_s']:g} s"
        types = ["HeartbeatError", *types]
    if view.settings["on_expiry"] == "continue":
        return End(why=told)
    return Fail(error=told, types=types, memo={**view.memo, "over": True})


def wait(view: View) -> Verdict:
    """Return what a step does that waits for a time."""
    settings = view.settings
    until = settings["until"] if "until" in settings else view.now + settings["seconds"]
    if not view.memo and until > view.now:
        return Sleep(until=until, memo={"asked": 1}, why="waits for a time")
    return End(result=view.args["after"], why="the time has come")


def _asked(view: View, why: str) -> Sleep | None:
    """Return that it asks, if it has not, or if what it got is over and it is to ask anew."""
    if view.memo and not view.memo.get("over"):
        return None
    expires = view.settings["expires_s"]
    return Sleep(
        until=None if expires is None else view.now + expires,
        memo={"asked": int(view.memo.get("asked", 0)) + 1},
        why=why,
    )
