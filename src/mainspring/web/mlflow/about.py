"""What this server can do, as MLflow's newer clients ask before they use it."""

from __future__ import annotations

import msgspec
from starlette.types import Receive, Scope, Send

from mainspring.web.front import send_bytes

#: What is not said to be there is not asked for.
_ABLE = {
    "store_type": "SqlStore",
    "workspaces_enabled": False,
    "trace_archival_enabled": False,
    "multipart_uploads_enabled": True,
    "multipart_downloads_enabled": False,
    "presigned_upload_run_id_supported": False,
    "presigned_upload_model_id_supported": False,
    "features_enabled": {"gateway": False},
}


class ServerInfo:
    """Answers ``/api/3.0/mlflow/server-info``."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request."""
        scope["state"]["route"] = "/api/3.0/mlflow/server-info"
        await send_bytes(send, msgspec.json.encode(_ABLE), "application/json")
