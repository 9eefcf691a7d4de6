"""The rules of the pod security standards: ``baseline``, and ``restricted`` on top of it.

Each rule returns what is wrong, in upstream's words, or an empty text.

Source: `k8s.io/pod-security-admission/policy`.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from wherry.objects.requests import Object

_HOST_NAMESPACES: Final = ("hostNetwork", "hostPID", "hostIPC")
_BASELINE_CAPABILITIES: Final = frozenset(
    {
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
        "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    }
)  # fmt: skip
_SELINUX_TYPES: Final = frozenset(
    {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)
_SYSCTLS: Final = frozenset(
    {
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
    }
)  # fmt: skip
_VOLUMES: Final = frozenset(
    {
        "name", "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image",
        "persistentVolumeClaim", "projected", "secret",
    }
)  # fmt: skip
_SECCOMP: Final = frozenset({"RuntimeDefault", "Localhost"})


def violations(level: str, pod: Object) -> list[str]:
    """Return what of a pod, or of a template of pods, a level does not allow.

    Args:
        level: One of `LEVELS`.
        pod: With ``metadata`` and ``spec``.
    """
    return [text for rule in LEVELS[level] if (text := rule(pod))]


def _containers(pod: Object) -> list[dict[str, Any]]:
    spec = pod.get("spec") or {}
    parts = ("initContainers", "containers", "ephemeralContainers")
    return [each for part in parts for each in spec.get(part) or ()]


def _context(holder: dict[str, Any]) -> dict[str, Any]:
    return holder.get("securityContext") or {}


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _of(noun: str, names: list[str]) -> str:
    return f"{noun}{'s' if len(names) > 1 else ''} {_quoted(names)}"


def _bad(pod: Object, test: Callable[[dict[str, Any]], bool]) -> list[str]:
    """Return the names of the containers whose security context a test finds wrong."""
    return [each["name"] for each in _containers(pod) if test(_context(each))]


def _host_namespaces(pod: Object) -> str:
    used = [f"{name}=true" for name in _HOST_NAMESPACES if (pod.get("spec") or {}).get(name)]
    return f"host namespaces ({', '.join(used)})" if used else ""


def _privileged(pod: Object) -> str:
    bad = _bad(pod, lambda context: bool(context.get("privileged")))
    return (
        f"privileged ({_of('container', bad)} must not set securityContext.privileged=true)"
        if bad
        else ""
    )


def _added(context: dict[str, Any]) -> list[str]:
    return (context.get("capabilities") or {}).get("add") or []


def _capabilities(pod: Object) -> str:
    bad = _bad(pod, lambda context: bool(set(_added(context)) - _BASELINE_CAPABILITIES))
    if not bad:
        return ""
    extra = {name for each in _containers(pod) for name in _added(_context(each))}
    listed = _quoted(sorted(extra - _BASELINE_CAPABILITIES))
    return (
        f"non-default capabilities ({_of('container', bad)} must not include {listed} in "
        "securityContext.capabilities.add)"
    )


def _host_paths(pod: Object) -> str:
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    bad = [each["name"] for each in volumes if each.get("hostPath") is not None]
    return f"hostPath volumes ({_of('volume', bad)})" if bad else ""


def _host_ports(pod: Object) -> str:
    ports = {
        each["name"]: [str(p["hostPort"]) for p in each.get("ports") or () if p.get("hostPort")]
        for each in _containers(pod)
    }
    bad = [name for name, used in ports.items() if used]
    if not bad:
        return ""
    used = sorted({port for each in ports.values() for port in each})
    noun = "hostPorts" if len(used) > 1 else "hostPort"
    verb = "use" if len(bad) > 1 else "uses"
    return f"hostPort ({_of('container', bad)} {verb} {noun} {', '.join(used)})"


def _selinux(pod: Object) -> str:
    contexts = [_context(pod.get("spec") or {}), *map(_context, _containers(pod))]
    given = [context.get("seLinuxOptions") or {} for context in contexts]
    types = sorted({each.get("type") or "" for each in given} - _SELINUX_TYPES)
    if types:
        return f"seLinuxOptions (type {_quoted(types)})"
    for name in ("user", "role"):
        if any(each.get(name) for each in given):
            return f"seLinuxOptions ({name} may not be set)"
    return ""


def _proc_mount(pod: Object) -> str:
    bad = _bad(pod, lambda context: context.get("procMount") not in {None, "", "Default"})
    if not bad:
        return ""
    return f"procMount ({_of('container', bad)} must not set securityContext.procMount)"


def _seccomp_unconfined(pod: Object) -> str:
    def unconfined(context: dict[str, Any]) -> bool:
        return (context.get("seccompProfile") or {}).get("type") == "Unconfined"

    bad = _bad(pod, unconfined)
    who = ["pod"] if unconfined(_context(pod.get("spec") or {})) else []
    who += [_of("container", bad)] if bad else []
    if not who:
        return ""
    text = 'must not set securityContext.seccompProfile.type to "Unconfined"'
    return f"seccompProfile ({' and '.join(who)} {text})"


def _sysctls(pod: Object) -> str:
    given = _context(pod.get("spec") or {}).get("sysctls") or ()
    bad = [each["name"] for each in given if each["name"] not in _SYSCTLS]
    return f"forbidden sysctls ({', '.join(bad)})" if bad else ""


def _host_process(pod: Object) -> str:
    contexts = [_context(pod.get("spec") or {}), *map(_context, _containers(pod))]
    if any((each.get("windowsOptions") or {}).get("hostProcess") for each in contexts):
        return "hostProcess (must not set securityContext.windowsOptions.hostProcess=true)"
    return ""


def _volume_types(pod: Object) -> str:
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    bad = {each["name"]: sorted(each.keys() - _VOLUMES) for each in volumes}
    names = [name for name, kinds in bad.items() if kinds]
    if not names:
        return ""
    kinds = sorted({kind for each in bad.values() for kind in each})
    verb = "use" if len(names) > 1 else "uses"
    noun = "types" if len(kinds) > 1 else "type"
    return f"restricted volume types ({_of('volume', names)} {verb} restricted volume {noun} {_quoted(kinds)})"


def _escalation(pod: Object) -> str:
    bad = _bad(pod, lambda context: context.get("allowPrivilegeEscalation") is not False)
    if not bad:
        return ""
    text = "must set securityContext.allowPrivilegeEscalation=false"
    return f"allowPrivilegeEscalation != false ({_of('container', bad)} {text})"


def _drops(pod: Object) -> str:
    def keeps(context: dict[str, Any]) -> bool:
        return "ALL" not in ((context.get("capabilities") or {}).get("drop") or ())

    parts = []
    if bad := _bad(pod, keeps):
        text = 'must set securityContext.capabilities.drop=["ALL"]'
        parts.append(f"{_of('container', bad)} {text}")
    if bad := _bad(pod, lambda context: bool(set(_added(context)) - {"NET_BIND_SERVICE"})):
        extra = {name for each in _containers(pod) for name in _added(_context(each))}
        listed = _quoted(sorted(extra - {"NET_BIND_SERVICE"}))
        text = f"must not include {listed} in securityContext.capabilities.add"
        parts.append(f"{_of('container', bad)} {text}")
    return f"unrestricted capabilities ({'; '.join(parts)})" if parts else ""


def _non_root(pod: Object) -> str:
    own = _context(pod.get("spec") or {}).get("runAsNonRoot")
    text = "must not set securityContext.runAsNonRoot=false"
    wrong = _bad(pod, lambda context: context.get("runAsNonRoot") is False)
    if wrong or own is False:
        who = ["pod"] if own is False else []
        who += [_of("container", wrong)] if wrong else []
        return f"runAsNonRoot != true ({' and '.join(who)} {text})"
    if own:
        return ""
    bad = _bad(pod, lambda context: context.get("runAsNonRoot") is None)
    text = "must set securityContext.runAsNonRoot=true"
    return f"runAsNonRoot != true (pod or {_of('container', bad)} {text})" if bad else ""


def _as_root(pod: Object) -> str:
    bad = _bad(pod, lambda context: context.get("runAsUser") == 0)
    who = ["pod"] if _context(pod.get("spec") or {}).get("runAsUser") == 0 else []
    who += [_of("container", bad)] if bad else []
    return f"runAsUser=0 ({' and '.join(who)} must not set runAsUser=0)" if who else ""


def _seccomp_missing(pod: Object) -> str:
    # What the pod says is held against it even where all its containers say better.
    if unconfined := _seccomp_unconfined(pod):
        return unconfined
    own = (_context(pod.get("spec") or {}).get("seccompProfile") or {}).get("type")

    def missing(context: dict[str, Any]) -> bool:
        return ((context.get("seccompProfile") or {}).get("type") or own) not in _SECCOMP

    bad = _bad(pod, missing)
    text = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return f"seccompProfile (pod or {_of('container', bad)} {text})" if bad else ""


_BASELINE: Final = (
    _capabilities,
    _host_namespaces,
    _host_paths,
    _host_ports,
    _privileged,
    _proc_mount,
    _seccomp_unconfined,
    _selinux,
    _sysctls,
    _host_process,
)
_RESTRICTED: Final = (
    _host_namespaces,
    _host_ports,
    _privileged,
    _proc_mount,
    _selinux,
    _sysctls,
    _host_process,
    _escalation,
    _drops,
    _volume_types,
    _non_root,
    _as_root,
    _seccomp_missing,
)
LEVELS: Final[dict[str, tuple[Callable[[Object], str], ...]]] = {
    "privileged": (),
    "baseline": _BASELINE,
    "restricted": _RESTRICTED,
}
