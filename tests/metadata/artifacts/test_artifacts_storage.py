"""Artifacts in folders and claims: whole or not at all, and nothing beyond what was named."""

import threading

import pytest

from wherry.metadata.artifacts.providers import Providers
from wherry.metadata.artifacts.storage import MissingError, Storage, StorageError, Transfer


@pytest.fixture
def storage(tmp_path) -> Storage:
    return Storage(claims={"claim": tmp_path / "claim"})


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "deep").mkdir(parents=True)
    (folder / "a").write_bytes(b"aaa")
    (folder / "deep" / "b").write_bytes(b"b")
    return folder


@pytest.mark.parametrize("root", ["file://{}/kept", "{}/kept", "pvc://claim/kept"])
def test_there_and_back(storage, source, tmp_path, root):
    root = root.format(tmp_path)
    folder, one = f"{root}/x/folder", f"{root}/x/one"
    assert not storage.exists(folder)
    assert storage.size(folder) == Transfer(0, 0)
    assert storage.put(source, folder) == Transfer(2, 4)
    assert storage.put(source / "a", one) == Transfer(1, 3)
    assert storage.exists(folder)
    assert storage.size(folder) == Transfer(2, 4)
    assert storage.list(folder) == [(f"{folder}/a", 3), (f"{folder}/deep/b", 1)]
    assert storage.list(folder, limit=1) == [(f"{folder}/a", 3)]
    assert storage.get(folder, tmp_path / "back" / "folder") == Transfer(2, 4)
    assert (tmp_path / "back" / "folder" / "deep" / "b").read_bytes() == b"b"
    storage.get(one, tmp_path / "back" / "one")
    assert (tmp_path / "back" / "one").read_bytes() == b"aaa"
    assert storage.read(one, limit=2, offset=2) == b"a"
    assert storage.read(one, limit=2, offset=9) == b""
    storage.write(one, b"new")
    assert storage.read(one, limit=9) == b"new"
    storage.delete(one)
    storage.delete(one)
    storage.delete(folder)
    assert not storage.exists(folder)
    assert not storage.exists(one)


def test_what_is_there_is_replaced(storage, source, tmp_path):
    target = tmp_path / "target"
    storage.put(source, str(target))
    storage.put(source / "a", str(target))
    assert target.read_bytes() == b"aaa"
    storage.put(source, str(target))
    assert (target / "deep" / "b").exists()
    storage.put(target, f"file://{target}")
    assert storage.size(str(target)) == Transfer(2, 4)
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_a_copy_that_fails_leaves_what_was_there(storage, source, tmp_path):
    target = tmp_path / "target"
    storage.put(source / "a", str(target))
    (source / "broken").symlink_to(source / "nothing")
    with pytest.raises(StorageError, match=r"target: Error"):
        storage.put(source, str(target))
    assert target.read_bytes() == b"aaa"
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_what_is_missing_or_too_much_is_told(storage, tmp_path):
    with pytest.raises(MissingError, match="there is nothing"):
        storage.get(f"{tmp_path}/none", tmp_path / "x")
    with pytest.raises(MissingError, match="no such file or folder"):
        storage.put(tmp_path / "none", f"{tmp_path}/x")
    with pytest.raises(MissingError, match="there is nothing"):
        storage.read(f"{tmp_path}/none", limit=1)
    for everything in ("file:///", "pvc://claim", "s3://bucket/"):
        with pytest.raises(StorageError, match="name what to delete"):
            storage.delete(everything)
    with pytest.raises(StorageError, match="an image is mounted"):
        storage.exists("oci://r/x")
    with pytest.raises(StorageError, match="is no URI"):
        storage.exists("x")


def test_a_link_is_deleted_and_not_what_it_leads_to(storage, source, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(source)
    storage.delete(str(link))
    assert not link.exists()
    assert (source / "a").exists()


def test_many_threads(storage, tmp_path):
    def work(number: int) -> None:
        storage.write(f"{tmp_path}/many/{number}", b"x" * number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert storage.size(f"{tmp_path}/many") == Transfer(20, sum(range(20)))


@pytest.mark.parametrize("token", ['"cloud"', '"/etc/keys.json"', "cloud"])
def test_an_account_cannot_mean_the_keys_of_the_surroundings(token):
    config = {
        "providers": "gs: {default: {credentials: {secretRef: {secretName: g, tokenKey: t}}}}"
    }
    storage = Storage(Providers(config), {"g": {"t": token}}, ambient=False)
    with pytest.raises(StorageError, match="the account's token"):
        storage.exists("gs://bucket/x")


def test_a_secret_whose_keys_are_not_named_is_told():
    told = "s3: {default: {credentials: {secretRef: {secretName: own, accessKeyKey: a}}}}"
    known = Storage(Providers({"providers": told}), {"own": {"a": "key"}})
    with pytest.raises(StorageError, match="Secret own: accessKeyKey and secretKeyKey have to say"):
        known.exists("s3://bucket/x")
