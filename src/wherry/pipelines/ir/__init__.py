"""The intermediate representation (IR) that KFP's SDK compiles pipelines to, as typed values.

Source: kubeflow/pipelines 2.17, ``api/v2alpha1/pipeline_spec.proto`` and
``kubernetes_platform/proto/kubernetes_executor_config.proto``. Field names are theirs, in Python's form.
"""
