"""Artifacts of workflows, and where they lie."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from wherry.pipelines.workflows.scalars import Groups, Names, Object


@dataclass(frozen=True, slots=True)
class Metadata:
    """Labels and annotations of pods."""

    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class S3:
    """An object in a store that speaks S3; the names of secrets are JSON."""

    NAMES: ClassVar[Names] = {"role_arn": "roleARN", "use_sdk_creds": "useSDKCreds"}
    endpoint: str = ""
    bucket: str = ""
    region: str = ""
    insecure: bool | None = None
    access_key_secret: Object | None = None
    secret_key_secret: Object | None = None
    session_token_secret: Object | None = None
    role_arn: str = ""
    use_sdk_creds: bool = False
    create_bucket_if_not_present: Object | None = None
    encryption_options: Object | None = None
    ca_secret: Object | None = None
    addressing_style: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Gcs:
    """An object in Google's store."""

    bucket: str = ""
    service_account_key_secret: Object | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Git:
    """A checkout of a repository."""

    NAMES: ClassVar[Names] = {"insecure_skip_tls": "insecureSkipTLS"}
    repo: str = ""
    revision: str = ""
    depth: int | None = None
    fetch: tuple[str, ...] = ()
    username_secret: Object | None = None
    password_secret: Object | None = None
    ssh_private_key_secret: Object | None = None
    insecure_ignore_host_key: bool = False
    disable_submodules: bool = False
    single_branch: bool = False
    branch: str = ""
    insecure_skip_tls: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """A header of a request."""

    name: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Http:
    """What a server answers."""

    url: str = ""
    headers: tuple[Header, ...] = ()
    auth: Object | None = None
    save_stream_via_file: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """What is written down in the workflow itself."""

    data: str = ""


@dataclass(frozen=True, slots=True)
class Location:
    """Where an artifact lies."""

    ONE_OF: ClassVar[Groups] = (
        ("s3", "git", "http", "artifactory", "hdfs", "raw", "oss", "gcs", "azure", "plugin"),
    )
    archive_logs: bool | None = None
    s3: S3 | None = None
    git: Git | None = None
    http: Http | None = None
    artifactory: Object | None = None
    hdfs: Object | None = None
    raw: Raw | None = None
    oss: Object | None = None
    gcs: Gcs | None = None
    azure: Object | None = None
    plugin: Object | None = None

    @property
    def stores(self) -> tuple[str, ...]:
        """The fields of those that are given; at most one."""
        return tuple(name for name in self.ONE_OF[0] if getattr(self, name) is not None)


@dataclass(frozen=True, slots=True)
class Tar:
    """A packed and compressed archive."""

    compression_level: int | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """How an artifact is packed; ``none``: it lies as it is."""

    tar: Tar | None = None
    none: Object | None = None
    zip: Object | None = None


class ArtifactGCStrategy(enum.StrEnum):
    """When artifacts are deleted."""

    ON_WORKFLOW_COMPLETION = "OnWorkflowCompletion"
    ON_WORKFLOW_DELETION = "OnWorkflowDeletion"
    NEVER = "Never"


@dataclass(frozen=True, slots=True)
class ArtifactGC:
    """When artifacts are deleted, and by whom."""

    strategy: ArtifactGCStrategy | None = None
    pod_metadata: Metadata | None = None
    service_account_name: str = ""


@dataclass(frozen=True, slots=True)
class Artifact(Location):
    """Files that a step takes or gives: what lies somewhere, or what another step gave."""

    NAMES: ClassVar[Names] = {"from_": "from", "artifact_gc": "artifactGC"}
    name: str = ""
    path: str = ""
    mode: int | None = None
    from_: str = ""
    global_name: str = ""
    archive: Archive | None = None
    optional: bool = False
    sub_path: str = ""
    recurse_mode: bool = False
    from_expression: str = ""
    artifact_gc: ArtifactGC | None = None
    deleted: bool = False
