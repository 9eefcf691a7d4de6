"""Which engine runs real images: the one that is set, else the first that is there."""

from typing import TypeAlias

from wherry.kubelet.launcher.client import Launcher
from wherry.kubelet.oci import daemons, engine
from wherry.kubelet.runtimes.docker import DockerRuntime
from wherry.kubelet.runtimes.oci import OciRuntime
from wherry.kubelet.settings import KubeletSettings

_INSTALL = (
    "install runc (Debian and Ubuntu: apt-get install runc; Fedora: dnf install runc), crun, Docker "
    "or Podman"
)


RealImages: TypeAlias = OciRuntime | DockerRuntime


def runtime(launcher: Launcher, settings: KubeletSettings) -> RealImages:
    """Return what runs real images; where nothing can, its `problem` says why and what to do."""
    wanted = settings.images.engine
    programs = tuple(one for one in engine.PROGRAMS if wanted in {"", one})
    found, reason = engine.find(settings.data / "oci" / "run", programs)
    if found is not None and launcher.features.isolate:
        return OciRuntime(launcher, settings, found)
    if found is not None:
        reason = f"{found.kind} needs namespaces: {launcher.features.reasons.get('isolate', '')}"
    programs = tuple(one for one in daemons.PROGRAMS if wanted in {"", one})
    daemon, other = daemons.find(settings.data, programs)
    if daemon is not None:
        return DockerRuntime(launcher, settings, daemon)
    reasons = " and ".join(filter(None, dict.fromkeys((reason, other))))
    if wanted:
        return OciRuntime(launcher, settings, None, f"{reasons}, and the setting is {wanted} only")
    return OciRuntime(launcher, settings, None, f"{reasons}: {_INSTALL}")
