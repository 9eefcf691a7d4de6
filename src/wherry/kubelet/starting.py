"""From a container's spec to what a runtime starts: variables, mounts, user, folders."""

from collections.abc import Mapping
from dataclasses import dataclass

from wherry.kubelet import (
    devices,
    environment_variables,
    layout,
    mounts,
    process_ids,
    specs,
    users,
)
from wherry.kubelet.launcher.types import Mount
from wherry.kubelet.runtime import ContainerStart, Image
from wherry.kubelet.shared import Shared
from wherry.kubelet.volume import Prepared
from wherry.objects import metadata
from wherry.objects.requests import Object


@dataclass(frozen=True, slots=True)
class Place:
    """A pod that is ready for containers.

    Attributes:
        pod: The pod.
        layout: Its folders.
        address: Its address.
        volumes: Its volumes by name.
        shared: What pods share.
    """

    pod: Object
    layout: layout.PodLayout
    address: str
    volumes: Mapping[str, Prepared]
    shared: Shared


async def describe(
    container: Object, attempt: int, image: Image, place: Place
) -> tuple[ContainerStart, str]:
    """Return what is to be started, its folders made, and a warning, empty if all is well.

    Args:
        container: Its entry in the pod.
        attempt: Which attempt this will be.
        image: What it runs.
        place: The pod.

    Raises:
        ConfigError: a variable cannot be made.
        MountError: a mount is not possible.
        IdentityError: the pod forbids the user as whom it would run.
        NoDeviceError: too few GPUs are free.
    """
    name, pod = str(container["name"]), place.pod
    variables = await _variables(container, place)
    home = place.layout.home(name)
    home.mkdir(parents=True, exist_ok=True)
    identity, warning = users.asked(pod, container), ""
    if image.runtime != "oci":
        identity, warning = users.possible(identity, (image.programs / "python", home))
    if identity.uid is not None:
        home.chmod(0o777)
    volume_mounts = mounts.volume_mounts(container, place.volumes, variables)
    if not place.shared.settings.isolate:
        # Every pod is given a token there, and without namespaces only one could have it.
        volume_mounts = [one for one in volume_mounts if one.target != mounts.TOKEN_PATH]
    variables = _with_devices(variables, container, place)
    start = ContainerStart(
        id=process_ids.make(metadata.uid(pod), name, attempt),
        spec=container,
        image=image,
        environment=variables,
        mounts=(*_own_mounts(container, attempt, place), *volume_mounts),
        hostname=specs.hostname(pod),
        address=None if specs.uses_host_network(pod) else place.address,
        home=home,
        log=place.layout.log(name, attempt),
        identity=identity,
        pod=pod,
    )
    return start, warning


def _with_devices(variables: dict[str, str], container: Object, place: Place) -> dict[str, str]:
    given = place.shared.devices.variables(place.pod, container)
    # Who asks for none may still say for himself what his programs see.
    return variables | given if devices.wanted(container) else given | variables


async def _variables(container: Object, place: Place) -> dict[str, str]:
    pod, shared = place.pod, place.shared
    namespace = metadata.namespace(pod)
    services: dict[str, str] = {}
    if pod["spec"].get("enableServiceLinks", True):
        found = shared.caches.services.list(namespace)
        services = environment_variables.service_variables(found)
    settings = shared.settings
    services |= environment_variables.api_variables(settings.api_host, settings.api_port)

    async def lookup(kind: str, name: str) -> Object | None:
        return await shared.lookup(namespace, kind, name)

    sources = environment_variables.Sources(
        pod, shared.surroundings(place.address), lookup, services
    )
    return await environment_variables.variables(container, sources)


def _own_mounts(container: Object, attempt: int, place: Place) -> list[Mount]:
    if not place.shared.settings.isolate:
        # These paths are the machine's, the same for all: nobody asked for them to be a pod's own.
        return []
    message = place.layout.termination_message(str(container["name"]), attempt)
    message.touch(mode=0o666)
    # The mode given to touch is cut by the umask; any user of the container may write here.
    message.chmod(0o666)
    target = str(container.get("terminationMessagePath") or mounts.DEFAULT_MESSAGE_PATH)
    return [
        Mount(source=str(message), target=mounts.target(target)),
        Mount(source=str(place.layout.hosts), target="/etc/hosts"),
    ]
