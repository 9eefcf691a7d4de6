"""What the agent asks of the web: redirections, and answers that break off."""

import base64
import http.server
import json
import threading

import pytest

from wherry.pipelines.workflows.agent import cloning, fetching, requesting
from wherry.pipelines.workflows.agent.failing import AgentError


class _Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, target = self.path.partition("?to=")
        if path == "/away":
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()
            return
        told = json.dumps({name: self.headers[name] for name in ("Authorization", "X-Key")})
        self.send_response(200)
        self.send_header("Content-Length", str(len(told) + (10 if path == "/short" else 0)))
        self.end_headers()
        self.wfile.write(told.encode())

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def port():
    """Port of a server that redirects from /away, breaks off at /short and tells headers elsewhere."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def _asked(url):
    headers = [["Authorization", "Bearer mine", False], ["X-Key", "told", False]]
    return requesting.run({"url": url, "headers": headers}, ())["result"]


def _downloaded(url, path, monkeypatch):
    for name, value in (("USER", "me"), ("PASSWORD", "secret")):
        monkeypatch.setenv(name, value)
    http_ = {
        "headers": [["X-Key", "told"]],
        "usernameSecret": "USER",
        "passwordSecret": "PASSWORD",
    }
    errand = {"name": "file", "to": str(path), "uri": url, "http": http_}
    fetching.run({"inputs": [errand]}, ())
    return json.loads(path.read_text())


def test_credentials_stay_with_the_host_that_they_are_for(port, tmp_path, monkeypatch):
    same = f"http://127.0.0.1:{port}/away?to=http://127.0.0.1:{port}/told"
    other = f"http://127.0.0.1:{port}/away?to=http://localhost:{port}/told"
    assert json.loads(_asked(same)) == {"Authorization": "Bearer mine", "X-Key": "told"}
    assert json.loads(_asked(other)) == {"Authorization": None, "X-Key": "told"}
    basic = f"Basic {base64.b64encode(b'me:secret').decode()}"
    found = _downloaded(same, tmp_path / "same", monkeypatch)
    assert found == {"Authorization": basic, "X-Key": "told"}
    found = _downloaded(other, tmp_path / "other", monkeypatch)
    assert found == {"Authorization": None, "X-Key": "told"}


def test_an_answer_that_breaks_off_is_none(port, tmp_path, monkeypatch):
    url = f"http://127.0.0.1:{port}/short"
    with pytest.raises(AgentError, match="10 bytes too early"):
        _asked(url)
    with pytest.raises(AgentError, match="10 bytes too early"):
        _downloaded(url, tmp_path / "file", monkeypatch)
    assert not (tmp_path / "file").exists()


class _Asking(http.server.BaseHTTPRequestHandler):
    """Asks git for a password at every path but /away, and notes who brings one where."""

    def do_GET(self):
        path, _, target = self.path.partition("/to/")
        given = self.headers["Authorization"]
        assert isinstance(self.server, _Asker)
        self.server.given.append((self.headers["Host"], given))
        if path == "/away":
            self.send_response(302)
            self.send_header("Location", f"http://{target}")
        else:
            self.send_response(404 if given else 401)
            self.send_header("WWW-Authenticate", 'Basic realm="all"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


class _Asker(http.server.ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Asking)
        self.given = []


def test_git_gives_a_password_to_the_repositorys_own_server_only(tmp_path, monkeypatch):
    monkeypatch.setenv("USER_OF", "me")
    monkeypatch.setenv("PASSWORD_OF", "secret\n")
    server = _Asker()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    secrets = {"usernameSecret": "USER_OF", "passwordSecret": "PASSWORD_OF"}

    def brought(repo):
        server.given.clear()
        with pytest.raises(AgentError, match="git clone"):
            cloning.clone({"repo": repo, **secrets}, tmp_path / "target")
        return {(host.partition(":")[0], given) for host, given in server.given}

    port = server.server_port
    basic = f"Basic {base64.b64encode(b'me:secret').decode()}"
    assert ("127.0.0.1", basic) in brought(f"http://127.0.0.1:{port}/x.git")
    assert brought(f"http://127.0.0.1:{port}/away/to/localhost:{port}/x.git") == {
        ("127.0.0.1", None),
        ("localhost", None),
    }
    server.shutdown()
    thread.join()
    server.server_close()
