"""A repository is cloned with the machine's git. What users write reaches it as words, never as options."""

import os
import subprocess
import tempfile
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from wherry.pipelines.workflows.agent.failing import AgentError

_PROTOCOLS: Final = "git:http:https:ssh"
_LOCAL: Final = ("/", "file:")
"""A repository elsewhere has no submodules that are files of ours."""
_QUIET: Final = {"GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": "600"}
"""Bytes a second, and for so many seconds: a server that says less is given up."""
_HELPER: Final = (
    "!f() { printf 'username=%s\\npassword=%s\\n' "
    '"$WHERRY_GIT_USERNAME" "$WHERRY_GIT_PASSWORD"; }; f'
)
"""What git asks for the name and password of one server."""
_LONGEST: Final = 2000

_Part = Mapping[str, Any]


def clone(told: _Part, target: Path) -> None:
    """Clone a repository into a folder that is not there yet.

    Args:
        told: As upstream's ``git``; of Secrets the variables that hold them.
        target: The folder.

    Raises:
        AgentError: git is not there, or says that it cannot be done.
    """
    with tempfile.TemporaryDirectory() as folder:
        _Git(told, Path(folder)).clone(target)


class _Git:
    def __init__(self, told: _Part, folder: Path) -> None:
        self._told = told
        self._secrets = folder
        self._environment = self._prepared()

    def clone(self, target: Path) -> None:
        told = self._told
        words = ["clone", "--quiet"]
        if told.get("depth"):
            words.append(f"--depth={int(told['depth'])}")
        if told.get("singleBranch"):
            words.append("--single-branch")
        if told.get("branch"):
            words.append(f"--branch={told['branch']}")
        self._run([*words, "--", str(told["repo"]), str(target)])
        for each in told.get("fetch") or ():
            depth = [f"--depth={int(told['depth'])}"] if told.get("depth") else []
            self._run(["fetch", "--quiet", *depth, "origin", _word(each, "fetch")], target)
        if told.get("revision"):
            self._check_out(_word(told["revision"], "revision"), target)
        if not told.get("disableSubmodules"):
            self._run(["submodule", "--quiet", "update", "--init", "--recursive"], target)

    def _check_out(self, revision: str, target: Path) -> None:
        """Check out a branch, tag or commit; a shallow clone may not have it yet."""
        try:
            self._run(["checkout", "--quiet", revision, "--"], target)
        except AgentError:
            self._run(["fetch", "--quiet", "origin", revision], target)
            self._run(["checkout", "--quiet", "FETCH_HEAD", "--"], target)

    def _run(self, words: Sequence[str], folder: Path | None = None) -> None:
        where = ["-C", str(folder)] if folder is not None else []
        try:
            done = subprocess.run(  # noqa: S603 - words, and options end before those of users
                ["git", *where, *words],  # noqa: S607 - the image's
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise AgentError("git: there is no such program where the agent runs") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-_LONGEST:]
            raise AgentError(f"git {words[0]} {self._told['repo']}: {said}")

    def _prepared(self) -> dict[str, str]:
        told = self._told
        local = str(told["repo"]).startswith(_LOCAL)
        made = {
            **os.environ,
            **_QUIET,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": f"file:{_PROTOCOLS}" if local else _PROTOCOLS,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        made |= self._credentials()
        checked = "no" if told.get("insecureIgnoreHostKey") else "accept-new"
        ssh = ["ssh", "-o", f"StrictHostKeyChecking={checked}", "-o", "BatchMode=yes"]
        if told.get("sshPrivateKeySecret"):
            key = os.environ.get(told["sshPrivateKeySecret"], "")
            ssh += ["-i", str(self._file("key", f"{key.strip()}\n", 0o600))]
        made["GIT_SSH_COMMAND"] = " ".join(ssh)
        if told.get("insecureSkipTLS"):
            made["GIT_SSL_NO_VERIFY"] = "true"
        return made

    def _credentials(self) -> dict[str, str]:
        """Return the variables that give name and password to the repository's own server, and to no other.

        Submodules may be anywhere, and a server may send git elsewhere.
        """
        told = self._told
        named = {"USERNAME": told.get("usernameSecret"), "PASSWORD": told.get("passwordSecret")}
        server = _server(str(told["repo"]))
        if not server or not any(named.values()):
            return {}
        made = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"credential.{server}.helper",
            "GIT_CONFIG_VALUE_0": _HELPER,
        }
        for name, variable in named.items():
            value = os.environ.get(variable or "", "").removesuffix("\n")
            if "\n" in value:
                raise AgentError(f"git.{name.lower()}Secret: its value has several lines; want one")
            made[f"WHERRY_GIT_{name}"] = value
        return made

    def _file(self, name: str, content: str, mode: int) -> Path:
        path = self._secrets / name
        path.touch(mode)
        path.write_text(content, encoding="utf-8")
        path.chmod(mode)
        return path


def _server(repo: str) -> str:
    """Return the server of a repository on the web; empty: it is none there."""
    try:
        parts = urllib.parse.urlsplit(repo)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise AgentError(f"git.repo is {repo!r}: {error}") from error
    if parts.scheme not in {"http", "https"} or not host:
        return ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def _word(text: Any, what: str) -> str:
    if str(text).startswith("-"):
        raise AgentError(f"git.{what} is {text!r}; want a name, which begins with no dash")
    return str(text)
