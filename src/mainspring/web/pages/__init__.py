"""The pages: what people look at in a browser, made on the server, kept fresh by one script.

Read first: :mod:`site` (which pages there are), :mod:`render` (how a page is made),
``static/app.js`` (how it stays fresh). No framework, nothing inline, nothing from elsewhere.
"""

from mainspring.web.pages.doorway import Doorway
from mainspring.web.pages.site import OPEN_PATHS, routes

__all__ = ["OPEN_PATHS", "Doorway", "routes"]
