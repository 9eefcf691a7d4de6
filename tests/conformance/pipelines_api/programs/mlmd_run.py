"""What the metadata service knows of a run's containers, as KFP's clients ask for it: lines of JSON.

Arguments: ``host:port`` of the service, id of the run.
"""

import json
import sys

import with_identity  # noqa: F401 - channels say who calls
from ml_metadata import ListOptions, MetadataStore
from ml_metadata.proto import metadata_store_pb2 as proto

host, _, port = sys.argv[1].partition(":")
store = MetadataStore(proto.MetadataStoreClientConfig(host=host, port=int(port)))
(context,) = store.get_contexts(ListOptions(filter_query=f"name = '{sys.argv[2]}'"))
for execution in store.get_executions_by_context(context.id):
    if execution.type != "system.ContainerExecution":
        continue
    events = store.get_events_by_execution_ids([execution.id])
    made = [event.artifact_id for event in events if event.type == proto.Event.OUTPUT]
    found = {
        "state": proto.Execution.State.Name(execution.last_known_state),
        "outputs": [artifact.uri for artifact in store.get_artifacts_by_id(made)],
    }
    sys.stdout.write(json.dumps(found) + "\n")
