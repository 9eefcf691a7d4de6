"""About the service itself: whether it is well, and what a caller may do in it."""

from collections.abc import Mapping
from typing import Final

from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api.call import Call, Handler


async def healthz(call: Call, _: Object) -> Object:
    """Tell what kind of service this is; clients ask before they know who they are."""
    call.open_to_all()
    return {"multi_user": True, "pipeline_store": "kubernetes"}


async def authorize(call: Call, request: Object) -> Object:
    """Answer where the caller may do something that other parts of Kubeflow ask about, else refuse."""
    for field in ("namespace", "resources", "verb"):
        if not request.get(field) or str(request[field]).startswith("UNASSIGNED"):
            raise errors.BadRequestError(f"{field}: is wanted")
    await call.check(
        request["namespace"], resource=request["resources"].lower(), verb=request["verb"].lower()
    )
    return {}


async def filters(call: Call, request: Object) -> Object:
    """Return a filter as it came: the method is there so that its message is described."""
    call.open_to_all()
    return request


HANDLERS: Final[Mapping[str, Handler]] = {
    "HealthzService.GetHealthz": healthz,
    "AuthService.Authorize": authorize,
    "DummyFilterService.GetFilter": filters,
}
