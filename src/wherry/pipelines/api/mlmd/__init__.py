"""The service of ML Metadata, ``ml_metadata.MetadataStoreService``, as Kubeflow Pipelines runs one."""
