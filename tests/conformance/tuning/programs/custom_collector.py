"""In the place of `custom-metrics-collector`: waits for the trial's end, and reports to the db-manager."""

import argparse
import os
import re
import time
from pathlib import Path

import api_pb2
import api_pb2_grpc
import grpc

parser = argparse.ArgumentParser()
parser.add_argument("-m", required=True)
parser.add_argument("-s", required=True)
parser.add_argument("-path", required=True)
given = parser.parse_args()

while not list(Path(given.path).parent.glob("*.pid")):
    time.sleep(0.1)
text = Path(given.path).read_text(encoding="utf-8")
pattern = rf"\{{metricName: ({given.m}), metricValue: ([\d.]+)\}}|({given.m})=([\d.]+)"
logs = [
    api_pb2.MetricLog(
        time_stamp=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        metric=api_pb2.Metric(name=given.m, value=match[2] or match[4]),
    )
    for match in re.finditer(pattern, text)
]
# A Job's pod is called as the Job, which is called as the trial, and something at random.
trial = os.environ["TrialNamePrefix"].rpartition("-")[0]  # noqa: SIM112 - the example's
with grpc.insecure_channel(given.s) as channel:
    api_pb2_grpc.DBManagerStub(channel).ReportObservationLog(
        api_pb2.ReportObservationLogRequest(
            trial_name=trial, observation_log=api_pb2.ObservationLog(metric_logs=logs)
        ),
        wait_for_ready=True,
        timeout=60,
    )
