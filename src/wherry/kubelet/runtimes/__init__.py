"""The pod runtimes: add one file and one line."""

from wherry.kubelet.runtimes.docker import DockerRuntime
from wherry.kubelet.runtimes.oci import OciRuntime
from wherry.kubelet.runtimes.process import ProcessRuntime

RUNTIMES = (ProcessRuntime, OciRuntime, DockerRuntime)
