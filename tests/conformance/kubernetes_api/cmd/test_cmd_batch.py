"""Jobs, and jobs that come again."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")


@case(name="batch: run_job_tests")
def test_jobs(cmd):
    space = cmd.make_space()
    there = ("-n", space)
    cmd.lists(f"cronjob -n {space}")
    schedule = ("--schedule=59 23 31 2 *", "--image=example.com/perl:1")
    command = ("--", "perl", "-wle", "print 1")
    cmd.dry("create", "cronjob", "pi", *there, *schedule, *command)
    cmd.lists(f"cronjob -n {space}")
    cmd("create", "cronjob", "pi", *there, *schedule, *command)
    cmd.lists(f"cronjob -n {space}", "pi")
    cmd("describe", "cronjob/pi", *there)
    cmd.describes_in_chunks("cronjobs", "events", *there)

    create = ("create", "job", "test-job", "--from=cronjob/pi", *there)
    assert cmd.out(*create, "--dry-run=client", "-o", "name") == "job.batch/test-job\n"
    cmd.lists(f"jobs -n {space}")
    cmd.dry(*create)
    cmd.lists(f"jobs -n {space}")
    cmd(*create)
    cmd.lists(f"jobs -n {space}", "test-job")
    cmd("get", "job/test-job", *there)
    cmd("describe", "job/test-job", *there)
    cmd.describes_in_chunks("jobs", "events", *there)
    cmd("delete", "job", "test-job", *there)
    cmd("delete", "cronjob", "pi", *there)
    cmd("delete", "namespace", space)
