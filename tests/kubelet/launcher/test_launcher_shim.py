"""The first line of the shim, as long as the kernel takes it."""

import os
import pathlib
import shutil
import subprocess

import pytest

from wherry.kubelet.launcher import processes, shim


@pytest.mark.parametrize(
    ("release", "limit"),
    [
        ("6.8.0-45-generic", 255),
        ("5.15.0", 255),
        ("5.1", 255),
        ("10.2", 255),
        ("5.0.21", 127),
        ("4.19.0-27-amd64", 127),
        ("unheard of", 127),
    ],
)
def test_how_long_the_line_may_be(release: str, limit: int) -> None:
    assert shim.max_line_bytes(release) == limit


@pytest.mark.skipif(not processes.LINUX, reason="is about Linux")
def test_the_kernel_takes_so_long_a_line(tmp_path: pathlib.Path) -> None:
    limit = shim.max_line_bytes(os.uname().release)
    room = limit - len(f"#!{tmp_path}/ -IS")
    if room < 1:
        pytest.skip("the folder for tests has too long a name")
    echo = shutil.which("echo")
    assert echo is not None
    named = tmp_path / ("x" * room)
    named.symlink_to(echo)
    script = tmp_path / "script"
    script.write_text(f"#!{named} -IS\n")
    script.chmod(0o755)
    assert len(script.read_text()) == limit + 1  # the line feed
    done = subprocess.run([script], capture_output=True, text=True, check=True)
    assert done.stdout == f"-IS {script}\n"
