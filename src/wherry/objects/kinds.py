"""Every built-in resource that the API serves, as discovery lists it.

One row per resource and version, in the order in which kube-apiserver ranks the groups and their
versions; the first row with a key is the preferred one. Custom resources are not here: they make
their rows from their definitions.

Two resources are served under two names and stored once (`stored_as`): Events in the core group
and in ``events.k8s.io``, and HorizontalPodAutoscalers in ``autoscaling/v1`` and ``v2``.

Source: `api/discovery` of Kubernetes 1.34, generally available versions. Left out on purpose:
``resource.k8s.io``, ``storagemigration.k8s.io`` and what is alpha or beta.
"""

from dataclasses import dataclass
from typing import Final

from wherry.objects.resources import ALL_VERBS, Resource

_ADMISSION: Final = "admissionregistration.k8s.io"
_AUTHORIZATION: Final = "authorization.k8s.io"
_FLOWCONTROL: Final = "flowcontrol.apiserver.k8s.io"
_NETWORKING: Final = "networking.k8s.io"
_RBAC: Final = "rbac.authorization.k8s.io"
_STORAGE: Final = "storage.k8s.io"

_CREATE_ONLY: Final = ("create",)
_STATUS: Final = ("status",)
_SCALABLE: Final = ("scale", "status")
_EXTENSIONS: Final = ("api-extensions",)


def _in_namespace(
    api_version: str,
    plural: str,
    kind: str,
    *short_names: str,
    subresources: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
    verbs: tuple[str, ...] = ALL_VERBS,
) -> Resource:
    group, _, version = api_version.rpartition("/")
    return Resource(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        singular=kind.lower(),
        short_names=short_names,
        categories=categories,
        verbs=verbs,
        subresources=subresources,
    )


def _in_cluster(
    api_version: str,
    plural: str,
    kind: str,
    *short_names: str,
    subresources: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
    verbs: tuple[str, ...] = ALL_VERBS,
) -> Resource:
    group, _, version = api_version.rpartition("/")
    return Resource(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        singular=kind.lower(),
        namespaced=False,
        short_names=short_names,
        categories=categories,
        verbs=verbs,
        subresources=subresources,
    )


# Core
BINDINGS = _in_namespace("v1", "bindings", "Binding", verbs=_CREATE_ONLY)
COMPONENT_STATUSES = _in_cluster(
    "v1", "componentstatuses", "ComponentStatus", "cs", verbs=("get", "list")
)
CONFIG_MAPS = _in_namespace("v1", "configmaps", "ConfigMap", "cm")
ENDPOINTS = _in_namespace("v1", "endpoints", "Endpoints", "ep")
EVENTS = _in_namespace("v1", "events", "Event", "ev")
LIMIT_RANGES = _in_namespace("v1", "limitranges", "LimitRange", "limits")
NAMESPACES = _in_cluster(
    "v1",
    "namespaces",
    "Namespace",
    "ns",
    subresources=("finalize", "status"),
    verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
)
NODES = _in_cluster("v1", "nodes", "Node", "no", subresources=("proxy", "status"))
PERSISTENT_VOLUME_CLAIMS = _in_namespace(
    "v1", "persistentvolumeclaims", "PersistentVolumeClaim", "pvc", subresources=_STATUS
)
PERSISTENT_VOLUMES = _in_cluster(
    "v1", "persistentvolumes", "PersistentVolume", "pv", subresources=_STATUS
)
PODS = _in_namespace(
    "v1",
    "pods",
    "Pod",
    "po",
    categories=("all",),
    subresources=(
        "attach",
        "binding",
        "ephemeralcontainers",
        "eviction",
        "exec",
        "log",
        "portforward",
        "proxy",
        "resize",
        "status",
    ),
)
POD_TEMPLATES = _in_namespace("v1", "podtemplates", "PodTemplate")
REPLICATION_CONTROLLERS = _in_namespace(
    "v1",
    "replicationcontrollers",
    "ReplicationController",
    "rc",
    categories=("all",),
    subresources=_SCALABLE,
)
RESOURCE_QUOTAS = _in_namespace(
    "v1", "resourcequotas", "ResourceQuota", "quota", subresources=_STATUS
)
SECRETS = _in_namespace("v1", "secrets", "Secret")
SERVICE_ACCOUNTS = _in_namespace(
    "v1", "serviceaccounts", "ServiceAccount", "sa", subresources=("token",)
)
SERVICES = _in_namespace(
    "v1", "services", "Service", "svc", categories=("all",), subresources=("proxy", "status")
)

# API services, workloads, events
API_SERVICES = _in_cluster(
    "apiregistration.k8s.io/v1",
    "apiservices",
    "APIService",
    categories=_EXTENSIONS,
    subresources=_STATUS,
)
CONTROLLER_REVISIONS = _in_namespace("apps/v1", "controllerrevisions", "ControllerRevision")
DAEMON_SETS = _in_namespace(
    "apps/v1", "daemonsets", "DaemonSet", "ds", categories=("all",), subresources=_STATUS
)
DEPLOYMENTS = _in_namespace(
    "apps/v1", "deployments", "Deployment", "deploy", categories=("all",), subresources=_SCALABLE
)
REPLICA_SETS = _in_namespace(
    "apps/v1", "replicasets", "ReplicaSet", "rs", categories=("all",), subresources=_SCALABLE
)
STATEFUL_SETS = _in_namespace(
    "apps/v1", "statefulsets", "StatefulSet", "sts", categories=("all",), subresources=_SCALABLE
)
EVENTS_K8S_IO = _in_namespace("events.k8s.io/v1", "events", "Event", "ev")

# Who are you, and what may you do
SELF_SUBJECT_REVIEWS = _in_cluster(
    "authentication.k8s.io/v1", "selfsubjectreviews", "SelfSubjectReview", verbs=_CREATE_ONLY
)
TOKEN_REVIEWS = _in_cluster(
    "authentication.k8s.io/v1", "tokenreviews", "TokenReview", verbs=_CREATE_ONLY
)
LOCAL_SUBJECT_ACCESS_REVIEWS = _in_namespace(
    f"{_AUTHORIZATION}/v1",
    "localsubjectaccessreviews",
    "LocalSubjectAccessReview",
    verbs=_CREATE_ONLY,
)
SELF_SUBJECT_ACCESS_REVIEWS = _in_cluster(
    f"{_AUTHORIZATION}/v1",
    "selfsubjectaccessreviews",
    "SelfSubjectAccessReview",
    verbs=_CREATE_ONLY,
)
SELF_SUBJECT_RULES_REVIEWS = _in_cluster(
    f"{_AUTHORIZATION}/v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", verbs=_CREATE_ONLY
)
SUBJECT_ACCESS_REVIEWS = _in_cluster(
    f"{_AUTHORIZATION}/v1", "subjectaccessreviews", "SubjectAccessReview", verbs=_CREATE_ONLY
)

# Autoscaling, batch, certificates
HORIZONTAL_POD_AUTOSCALERS = _in_namespace(
    "autoscaling/v2",
    "horizontalpodautoscalers",
    "HorizontalPodAutoscaler",
    "hpa",
    categories=("all",),
    subresources=_STATUS,
)
HORIZONTAL_POD_AUTOSCALERS_V1 = _in_namespace(
    "autoscaling/v1",
    "horizontalpodautoscalers",
    "HorizontalPodAutoscaler",
    "hpa",
    categories=("all",),
    subresources=_STATUS,
)
CRON_JOBS = _in_namespace(
    "batch/v1", "cronjobs", "CronJob", "cj", categories=("all",), subresources=_STATUS
)
JOBS = _in_namespace("batch/v1", "jobs", "Job", categories=("all",), subresources=_STATUS)
CERTIFICATE_SIGNING_REQUESTS = _in_cluster(
    "certificates.k8s.io/v1",
    "certificatesigningrequests",
    "CertificateSigningRequest",
    "csr",
    subresources=("approval", "status"),
)

# Networking, policy
INGRESS_CLASSES = _in_cluster(f"{_NETWORKING}/v1", "ingressclasses", "IngressClass")
INGRESSES = _in_namespace(f"{_NETWORKING}/v1", "ingresses", "Ingress", "ing", subresources=_STATUS)
IP_ADDRESSES = _in_cluster(f"{_NETWORKING}/v1", "ipaddresses", "IPAddress", "ip")
NETWORK_POLICIES = _in_namespace(f"{_NETWORKING}/v1", "networkpolicies", "NetworkPolicy", "netpol")
SERVICE_CIDRS = _in_cluster(
    f"{_NETWORKING}/v1", "servicecidrs", "ServiceCIDR", subresources=_STATUS
)
POD_DISRUPTION_BUDGETS = _in_namespace(
    "policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb", subresources=_STATUS
)

# Roles
CLUSTER_ROLE_BINDINGS = _in_cluster(f"{_RBAC}/v1", "clusterrolebindings", "ClusterRoleBinding")
CLUSTER_ROLES = _in_cluster(f"{_RBAC}/v1", "clusterroles", "ClusterRole")
ROLE_BINDINGS = _in_namespace(f"{_RBAC}/v1", "rolebindings", "RoleBinding")
ROLES = _in_namespace(f"{_RBAC}/v1", "roles", "Role")

# Storage
CSI_DRIVERS = _in_cluster(f"{_STORAGE}/v1", "csidrivers", "CSIDriver")
CSI_NODES = _in_cluster(f"{_STORAGE}/v1", "csinodes", "CSINode")
CSI_STORAGE_CAPACITIES = _in_namespace(
    f"{_STORAGE}/v1", "csistoragecapacities", "CSIStorageCapacity"
)
STORAGE_CLASSES = _in_cluster(f"{_STORAGE}/v1", "storageclasses", "StorageClass", "sc")
VOLUME_ATTACHMENTS = _in_cluster(
    f"{_STORAGE}/v1", "volumeattachments", "VolumeAttachment", subresources=_STATUS
)
VOLUME_ATTRIBUTES_CLASSES = _in_cluster(
    f"{_STORAGE}/v1", "volumeattributesclasses", "VolumeAttributesClass", "vac"
)

# Extending the API
MUTATING_ADMISSION_POLICIES = _in_cluster(
    f"{_ADMISSION}/v1",
    "mutatingadmissionpolicies",
    "MutatingAdmissionPolicy",
    categories=_EXTENSIONS,
)
MUTATING_ADMISSION_POLICY_BINDINGS = _in_cluster(
    f"{_ADMISSION}/v1",
    "mutatingadmissionpolicybindings",
    "MutatingAdmissionPolicyBinding",
    categories=_EXTENSIONS,
)
MUTATING_WEBHOOK_CONFIGURATIONS = _in_cluster(
    f"{_ADMISSION}/v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
    categories=_EXTENSIONS,
)
VALIDATING_ADMISSION_POLICIES = _in_cluster(
    f"{_ADMISSION}/v1",
    "validatingadmissionpolicies",
    "ValidatingAdmissionPolicy",
    categories=_EXTENSIONS,
    subresources=_STATUS,
)
VALIDATING_ADMISSION_POLICY_BINDINGS = _in_cluster(
    f"{_ADMISSION}/v1",
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
    categories=_EXTENSIONS,
)
VALIDATING_WEBHOOK_CONFIGURATIONS = _in_cluster(
    f"{_ADMISSION}/v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    categories=_EXTENSIONS,
)
CUSTOM_RESOURCE_DEFINITIONS = _in_cluster(
    "apiextensions.k8s.io/v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    "crd",
    "crds",
    categories=_EXTENSIONS,
    subresources=_STATUS,
)

# Scheduling, coordination, nodes, discovery, flow control
PRIORITY_CLASSES = _in_cluster("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", "pc")
LEASES = _in_namespace("coordination.k8s.io/v1", "leases", "Lease")
RUNTIME_CLASSES = _in_cluster("node.k8s.io/v1", "runtimeclasses", "RuntimeClass")
ENDPOINT_SLICES = _in_namespace("discovery.k8s.io/v1", "endpointslices", "EndpointSlice")
FLOW_SCHEMAS = _in_cluster(f"{_FLOWCONTROL}/v1", "flowschemas", "FlowSchema", subresources=_STATUS)
PRIORITY_LEVEL_CONFIGURATIONS = _in_cluster(
    f"{_FLOWCONTROL}/v1",
    "prioritylevelconfigurations",
    "PriorityLevelConfiguration",
    subresources=_STATUS,
)

BUILTIN: Final[tuple[Resource, ...]] = tuple(
    value for value in list(globals().values()) if isinstance(value, Resource)
)
"""Every row above, in that order: groups and versions by preference."""

_BY_KIND: Final = {(resource.api_version, resource.kind): resource for resource in BUILTIN}
# Reversed, so that the preferred version of a key wins.
_BY_KEY: Final = {resource.key: resource for resource in reversed(BUILTIN)}

_STORED_AS: Final = {
    EVENTS_K8S_IO: EVENTS,
    HORIZONTAL_POD_AUTOSCALERS_V1: HORIZONTAL_POD_AUTOSCALERS,
}


def by_kind(api_version: str, kind: str) -> Resource | None:
    """Return the built-in resource of a kind.

    Args:
        api_version: As in objects, e.g. ``apps/v1``.
        kind: As in objects, e.g. ``Deployment``.
    """
    return _BY_KIND.get((api_version, kind))


def by_key(key: str) -> Resource | None:
    """Return the built-in resource with a key such as ``deployments.apps``, in its preferred version."""
    return _BY_KEY.get(key)


def stored_as(resource: Resource) -> Resource:
    """Return the resource under whose key and version objects of ``resource`` are stored."""
    return _STORED_AS.get(resource, resource)


@dataclass(frozen=True, slots=True)
class Subresource:
    """What discovery says of one subresource.

    Attributes:
        name: Below the object, e.g. ``scale``.
        group: Group of the kind that it answers with.
        version: Version of that kind.
        kind: Kind that it answers with, e.g. ``Scale``.
        verbs: What may be done with it.
    """

    name: str
    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]


_READ_WRITE: Final = ("get", "patch", "update")
_CONNECT: Final = ("create", "get")
_PROXY: Final = ("create", "delete", "get", "patch", "update")

# (kind that owns it, or "" for any; subresource) -> (apiVersion and kind, or "" for the owner's; verbs)
_SUBRESOURCES: Final[dict[tuple[str, str], tuple[str, str, tuple[str, ...]]]] = {
    ("", "scale"): ("autoscaling/v1", "Scale", _READ_WRITE),
    ("", "status"): ("", "", _READ_WRITE),
    ("CertificateSigningRequest", "approval"): ("", "", _READ_WRITE),
    ("Namespace", "finalize"): ("", "", ("update",)),
    ("Node", "proxy"): ("v1", "NodeProxyOptions", _PROXY),
    ("Pod", "attach"): ("v1", "PodAttachOptions", _CONNECT),
    ("Pod", "binding"): ("v1", "Binding", _CREATE_ONLY),
    ("Pod", "ephemeralcontainers"): ("", "", _READ_WRITE),
    ("Pod", "eviction"): ("policy/v1", "Eviction", _CREATE_ONLY),
    ("Pod", "exec"): ("v1", "PodExecOptions", _CONNECT),
    ("Pod", "log"): ("", "", ("get",)),
    ("Pod", "portforward"): ("v1", "PodPortForwardOptions", _CONNECT),
    ("Pod", "proxy"): ("v1", "PodProxyOptions", _PROXY),
    ("Pod", "resize"): ("", "", _READ_WRITE),
    ("Service", "proxy"): ("v1", "ServiceProxyOptions", _PROXY),
    ("ServiceAccount", "token"): ("authentication.k8s.io/v1", "TokenRequest", _CREATE_ONLY),
}


def subresource(resource: Resource, name: str) -> Subresource | None:
    """Return what discovery says of a subresource; None where the resource has no such one.

    Args:
        resource: Built-in or custom; a custom resource has at most ``status`` and ``scale``.
        name: E.g. ``scale``.
    """
    if name not in resource.subresources:
        return None
    row = _SUBRESOURCES.get((resource.kind, name)) or _SUBRESOURCES.get(("", name))
    if row is None:
        return None
    api_version, kind, verbs = row
    if not kind:
        return Subresource(name, resource.group, resource.version, resource.kind, verbs)
    group, _, version = api_version.rpartition("/")
    return Subresource(name, group, version, kind, verbs)
