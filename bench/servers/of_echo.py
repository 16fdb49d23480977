"""A bare ASGI application on uvicorn that sends the body back: the floor of what rests on it."""

import sys

import uvicorn


async def app(scope, receive, send):
    """Answer one event."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


uvicorn.run(
    app,
    host="127.0.0.1",
    port=int(sys.argv[2]),
    log_level="error",
    access_log=False,
    http="httptools",
)
