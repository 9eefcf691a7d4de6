"""What names, ports, messages and redirects mean on the way into pods."""

import pytest

from wherry.apiserver.connections import options, proxying, statuses, targets
from wherry.apiserver.http import paths
from wherry.kubelet.launcher.types import Ended
from wherry.objects import errors


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", ("http", "web", "")),
        ("web:8080", ("http", "web", "8080")),
        ("https:web:ui", ("https", "web", "ui")),
        (":web:ui", ("http", "web", "ui")),
    ],
)
def test_names(text: str, expected: tuple[str, str, str]) -> None:
    assert targets.parse(text) == expected


@pytest.mark.parametrize("text", ["ftp:web:80", "a:b:c:d"])
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(errors.BadRequestError, match="is accepted"):
        targets.parse(text)


@pytest.mark.parametrize("text", ["0", "65536", "-1", "", "8o", "٣", "1" * 100])
def test_ports_that_are_none(text: str) -> None:
    with pytest.raises(errors.BadRequestError, match="1 to 65535"):
        options.port(text)


def test_the_port_of_a_pod() -> None:
    ports = [{"name": "ui", "containerPort": 81}, {"name": "api", "containerPort": 82}]
    pod = {"spec": {"containers": [{"ports": ports}]}}
    assert [targets.pod_port(pod, text) for text in ("", "ui", "api", "99")] == [81, 81, 82, 99]
    assert targets.pod_port({"spec": {"containers": [{}]}}, "") == 80


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/login?next=/a#b", "/api/x/proxy/login?next=/a#b"),
        ("http://127.32.0.5:8080/login", "/api/x/proxy/login"),
        ("http://127.32.0.5:9090/login", "http://127.32.0.5:9090/login"),
        ("https://example.com/", "https://example.com/"),
        ("relative", "relative"),
        ("http://[broken", "http://[broken"),
    ],
)
def test_redirects(location: str, expected: str) -> None:
    target = proxying.Target("http", "127.32.0.5", 8080, "/api/x/proxy")
    assert proxying.rewritten(location, target) == expected


def test_statuses() -> None:
    assert statuses.of(Ended(0, None))["status"] == "Success"
    failed = statuses.of(Ended(3, None))
    assert failed["reason"] == "NonZeroExitCode"
    assert failed["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert "not found" in statuses.of(Ended(127, "x: not found"))["message"]


def test_the_proxied_path_is_not_ours_to_judge() -> None:
    base = "/api/v1/namespaces/n/services/web:80/proxy"
    expected = ["api", "v1", "namespaces", "n", "services", "web:80", "proxy"]
    assert paths.segments(f"{base}//a/%2F/../b") == expected
    with pytest.raises(errors.BadRequestError):
        paths.segments("/api/v1/namespaces/n/configmaps//proxy/../x")
