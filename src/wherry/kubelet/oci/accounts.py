"""As whom a container runs: names looked up in its image's `/etc/passwd` and `/etc/group`. Pure.

Source: the OCI image-spec's `User`; where a number has no entry its group is 0, as runc and Docker have it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_MAX_ID = 2**32 - 2


class AccountError(Exception):
    """The image has no such user or group."""


@dataclass(frozen=True, slots=True)
class Account:
    """User, group and further groups, as numbers."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()


def resolve(user: str, passwd: str, group: str) -> Account:
    """Return whom `user` means.

    Args:
        user: `user[:group]`, names or numbers; empty: root.
        passwd: The image's `/etc/passwd`, empty if it has none.
        group: Its `/etc/group`.

    Raises:
        AccountError: a name is not in these files, or a number is not one.
    """
    name, colon, group_name = user.partition(":")
    uid, gid, known = _user(name or "0", passwd)
    if colon and group_name:
        return Account(uid, _group(group_name, group))
    further = tuple(
        sorted(int(line[2]) for line in _lines(group, 4) if known and known in line[3].split(","))
    )
    return Account(uid, gid, tuple(one for one in further if one != gid))


def _user(name: str, passwd: str) -> tuple[int, int, str]:
    for line in _lines(passwd, 4):
        if name in {line[0], line[2]} and line[3].isdecimal():
            return _number(line[2]), _number(line[3]), line[0]
    if name.isdecimal():
        return _number(name), 0, ""
    raise AccountError(f"unable to find user {name}: no matching entries in passwd file")


def _group(name: str, group: str) -> int:
    for line in _lines(group, 4):
        if name in {line[0], line[2]}:
            return _number(line[2])
    if name.isdecimal():
        return _number(name)
    raise AccountError(f"unable to find group {name}: no matching entries in group file")


def _lines(text: str, fields: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        found = line.split(":")
        if len(found) >= fields and found[2].isdecimal():
            yield found


def _number(text: str) -> int:
    value = int(text)
    if value > _MAX_ID:
        raise AccountError(f"user or group {value} is larger than {_MAX_ID}")
    return value
