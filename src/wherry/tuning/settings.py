"""What tuning has from the start: its namespace, settings in Katib's form, templates of trials.

Source: kubeflow/katib 0.19, ``pkg/apis/config/v1beta1`` (``katib-config``), and the ConfigMaps of
its installation.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import yaml

from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.tuning import kinds, v1alpha3

NAME: Final = "katib-config"
KEY: Final = "katib-config.yaml"
TEMPLATES: Final = "trial-templates"

_CONFIG: Final = {
    "apiVersion": "config.kubeflow.org/v1beta1",
    "kind": "KatibConfig",
    "init": {"controller": {"trialResources": ["Job.v1.batch"]}},
    "runtime": {"metricsCollectors": [], "suggestions": [], "earlyStoppings": []},
}
_TEMPLATE: Final = """\
apiVersion: batch/v1
kind: Job
spec:
  template:
    spec:
      containers:
        - name: training-container
          image: python:3.11
          command:
            - python
            - -c
            - |
              lr, momentum = ${trialParameters.learningRate}, ${trialParameters.momentum}
              print(f"loss={(lr - 0.03) ** 2 + (momentum - 0.7) ** 2}")
      restartPolicy: Never
"""
_OLD_TEMPLATE: Final = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: {{.Trial}}
  namespace: {{.NameSpace}}
spec:
  template:
    spec:
      containers:
      - name: {{.Trial}}
        image: python:3.11
        command:
        - "python"
        - "-c"
        - "import sys; print('loss=%f' % sum(float(a.split('=')[1]) ** 2 for a in sys.argv[1:]))"
        {{- with .HyperParameters}}
        {{- range .}}
        - "{{.Name}}={{.Value}}"
        {{- end}}
        {{- end}}
      restartPolicy: Never
"""


def objects() -> Sequence[Object]:
    """Return what there is from the start: a namespace, settings, templates."""
    return (
        {
            "apiVersion": core.NAMESPACES.api_version,
            "kind": core.NAMESPACES.kind,
            "metadata": {"name": kinds.NAMESPACE},
        },
        _config_map(NAME, {KEY: yaml.safe_dump(_CONFIG, sort_keys=False)}),
        _config_map(
            TEMPLATES,
            {"defaultTrialTemplate.yaml": _TEMPLATE},
            {"katib.kubeflow.org/component": TEMPLATES},
        ),
        _config_map(v1alpha3.TEMPLATES, {v1alpha3.DEFAULT_TEMPLATE: _OLD_TEMPLATE}),
    )


def _config_map(
    name: str, data: Mapping[str, str], labels: Mapping[str, str] | None = None
) -> Object:
    return {
        "apiVersion": core.CONFIG_MAPS.api_version,
        "kind": core.CONFIG_MAPS.kind,
        "metadata": {"name": name, "namespace": kinds.NAMESPACE, "labels": dict(labels or {})},
        "data": dict(data),
    }
