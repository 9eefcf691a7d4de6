"""`kubectl events`."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

WORDS = ("Warning", "InvalidSchedule", "pi")


@case(name="events: run_kubectl_events_tests")
def test_events(cmd):
    space = cmd.make_space()
    assert "InvalidSchedule" not in cmd("events", "-n", space)
    cmd.lists(f"cronjob -n {space}")
    image = "--image=example.com/perl:1"
    # The 31st of February: it never comes.
    schedule = "--schedule=59 23 31 2 *"
    cmd("create", "cronjob", "pi", schedule, "-n", space, image, "--", "true")
    cmd.lists(f"cronjob -n {space}", "pi")
    cmd.becomes(f"events -n {space}", "{{range .items}}{{.reason}}{{end}}", WORDS[1])
    there = ("events", "-n", space)
    mine = (*there, "--for=CronJob/pi")
    for command in (
        ("events", "-A"),
        there,
        mine,
        (*mine, "--types=Warning"),
        (*mine, "--no-headers"),
        (*mine, "--output=json"),
        (*mine, "--output=yaml"),
    ):
        said = cmd(*command)
        assert all(word in said for word in WORDS), said
    cmd.cut(*mine, "--watch", words=WORDS)
    assert "InvalidSchedule" not in cmd(*mine, "--types=Normal")
    assert "LAST SEEN" not in cmd(*mine, "--no-headers")
    cmd("delete", "cronjob", "pi", "-n", space)
    cmd("delete", "namespace", space)
