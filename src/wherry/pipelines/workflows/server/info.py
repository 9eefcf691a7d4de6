"""What the server says of itself, and of who calls."""

import platform
from collections.abc import Mapping
from typing import Final

from aiohttp import web

import wherry
from wherry.pipelines.workflows.server.calls import Answer, Call, Handler

LEVEL: Final = "v4.1.2"
"""The version of upstream whose calls these are."""


async def info(call: Call) -> Answer:
    """Return how a page would look: nothing is set."""
    call.open_to_all()
    return {"links": [], "columns": [], "navColor": "", "modals": {}}


async def version(call: Call) -> Answer:
    """Return which version this is."""
    call.open_to_all()
    return {
        "version": f"{LEVEL}+wherry.{wherry.__version__}",
        "buildDate": "",
        "gitCommit": "",
        "gitTag": LEVEL,
        "gitTreeState": "clean",
        "goVersion": "",
        "compiler": platform.python_implementation().lower(),
        "platform": f"{platform.system().lower()}/{platform.machine()}",
    }


async def user(call: Call) -> Answer:
    """Return who calls."""
    call.open_to_all()
    name = call.user.name
    told = {"issuer": "wherry", "subject": name, "groups": [*call.user.groups]}
    _, is_account, account = name.partition("system:serviceaccount:")
    if is_account and ":" in account:
        namespace, _, given = account.partition(":")
        told |= {"serviceAccountName": given, "serviceAccountNamespace": namespace}
    return told


async def collect(call: Call) -> Answer:
    """Take what pages tell of their use: it is not kept."""
    call.open_to_all()
    return {}


async def no_sso(call: Call) -> Answer:
    """Say that there is no login here: who calls is known by tokens."""
    call.open_to_all()
    told = "there is no single sign-on here; send a token"
    return web.json_response({"code": 12, "message": told, "error": told}, status=501)


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v1/info"): info,
    ("GET", "/api/v1/version"): version,
    ("GET", "/api/v1/userinfo"): user,
    ("GET", "/oauth2/redirect"): no_sso,
    ("GET", "/oauth2/callback"): no_sso,
    ("POST", "/api/v1/tracking/event"): collect,
}
