"""Pipelines that are fetched from URLs: from where it is allowed, and from nowhere else."""

import pytest
from aiohttp import web

from wherry.objects import errors
from wherry.pipelines.definitions import downloads
from wherry.pipelines.definitions.downloads import Downloads


@pytest.fixture
async def server():
    """A server of files on this machine; its address."""

    async def large(request):
        return web.Response(body=b"x" * (downloads.MOST_BYTES + 1))

    async def away(request):
        raise web.HTTPFound(request.query["to"])

    async def file(request):
        return web.Response(body=b"a: b")

    async def loop(request):
        raise web.HTTPFound("/loop")

    app = web.Application()
    app.router.add_get("/p.yaml", file)
    app.router.add_get("/loop", loop)
    app.router.add_get("/large", large)
    app.router.add_get("/away", away)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_place_that_is_named_is_asked(server):
    fetched = Downloads(f" example.com , {server}/ ")
    assert await fetched.read(f"{server}/p.yaml") == b"a: b"
    assert await fetched.read(f"{server}/away?to=/p.yaml") == b"a: b"


@pytest.mark.parametrize(
    "url",
    [
        "http://github.com/a.yaml",
        "https://github.com:8443/a.yaml",
        "https://user:secret@github.com/a.yaml",
        "https://example.com/a.yaml",
        "https://github.com.example.com/a.yaml",
        "https://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "ftp://github.com/a",
        "a.yaml",
        "",
        "https://[/",
        "https://github.com/" + "a" * 3000,
    ],
)
async def test_other_places_are_not(url):
    with pytest.raises(errors.BadRequestError) as refused:
        await Downloads().read(url)
    assert "secret" not in refused.value.message


async def test_nobody_is_led_elsewhere(server):
    fetched = Downloads(f"{server}/away")
    for to in (f"{server}/p.yaml", "http://127.0.0.1:1/", "file:///etc/passwd"):
        with pytest.raises(errors.BadRequestError, match="may not be asked"):
            await fetched.read(f"{server}/away?to={to}")
    around = Downloads(f"{server}/")
    with pytest.raises(errors.BadRequestError, match="leads on more than"):
        await around.read(f"{server}/loop")


async def test_nobody_gets_out_of_a_folder_that_may_be_asked(server):
    fetched = Downloads(f"{server}/folder/")
    for out in ("..", "%2e%2e", "a/../.."):
        with pytest.raises(errors.BadRequestError, match=r"without '\.\.'"):
            await fetched.read(f"{server}/folder/{out}/p.yaml")


async def test_what_is_not_there_or_too_large_is_told(server):
    fetched = Downloads(f"{server}/")
    with pytest.raises(errors.BadRequestError, match="404"):
        await fetched.read(f"{server}/other")
    with pytest.raises(errors.RequestEntityTooLargeError, match="larger than"):
        await fetched.read(f"{server}/large")
    with pytest.raises(errors.BadRequestError, match="cannot be fetched"):
        await Downloads("http://127.0.0.1:1/").read("http://127.0.0.1:1/a.yaml")


async def test_hosts_whose_addresses_are_not_public_are_not_asked():
    """What a name leads to is looked at, whatever the name."""
    resolver = downloads.PublicResolver()
    with pytest.raises(OSError, match="no public address"):
        await resolver.resolve("localhost", 443)
    await resolver.close()
    with pytest.raises(errors.BadRequestError, match="cannot be fetched"):
        await Downloads("localhost").read("https://localhost/a.yaml")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "[::1]", "[::ffff:10.0.0.1]", "169.254.169.254"]
)
async def test_addresses_that_are_not_public_are_not_asked(host):
    """No name leads to them: they are looked at themselves, whatever hosts are allowed."""
    with pytest.raises(errors.BadRequestError, match="may not be asked"):
        await Downloads("*").read(f"https://{host}/a.yaml")
