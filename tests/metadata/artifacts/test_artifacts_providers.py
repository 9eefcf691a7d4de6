"""The ConfigMap ``kfp-launcher``, the root's query, and what containers are told of them."""

import pytest

from wherry.metadata.artifacts import providers
from wherry.metadata.artifacts.providers import Provider, Providers, ProvidersError

_CONFIG = """
s3:
  default:
    endpoint: s3.example.org
    region: r1
    disableSSL: true
    credentials: {fromEnv: true}
  overrides:
    - bucketName: mine
      keyPrefix: deep/
      endpoint: https://other.example.org
      forcePathStyle: false
      maxRetries: 2
      credentials:
        fromEnv: false
        secretRef: {secretName: keys, accessKeyKey: a, secretKeyKey: s}
gs:
  default:
    credentials:
      secretRef: {secretName: google, tokenKey: t.json}
"""


@pytest.fixture
def known() -> Providers:
    return Providers({"defaultPipelineRoot": "s3://b/root", "providers": _CONFIG, "other": "x"})


def test_what_is_said_of_each_bucket(known):
    assert known.default_root == "s3://b/root"
    plain = known.of("s3://b/x")
    assert plain == Provider(endpoint="s3.example.org", region="r1", insecure=True)
    assert (plain.url, plain.keys) == ("http://s3.example.org", ())
    mine = known.of("s3://mine/deep/x")
    assert mine.url == "https://other.example.org"
    assert (mine.region, mine.path_style, mine.retries) == ("r1", False, 2)
    assert (mine.secret, mine.keys) == ("keys", ("a", "s"))
    assert known.of("s3://mine/x") == plain
    assert known.of("gs://b").keys == ("t.json",)
    minio = known.of("minio://mlpipeline/v2")
    assert minio.url == "http://minio-service.kubeflow:9000"
    assert minio.secret == "mlpipeline-minio-artifact"


def test_nothing_said():
    assert Providers({}).of("s3://b/x") == Provider()
    assert Providers({}).default_root == ""


def test_the_query_of_a_root_counts_for_its_bucket():
    root = "s3://b/root?endpoint=localhost:9000&disableSSL=true&region=here"
    known = Providers({"providers": _CONFIG}, root)
    assert known.of("s3://b/other").url == "http://localhost:9000"
    assert known.of("s3://b/other").region == "here"
    assert known.of("s3://c/x").endpoint == "s3.example.org"
    named_alike = Providers({"providers": _CONFIG}, root.replace("s3://b/", "s3://c-and-more/"))
    assert named_alike.of("s3://c/x").endpoint == "s3.example.org"


def test_what_else_stands_in_secrets_is_asked_for():
    told = """
s3:
  default:
    credentials: {secretRef: {secretName: one, accessKeyKey: a, secretKeyKey: s}}
    sessionToken: {secretName: two, key: t}
    ca: {secretName: one, key: ca.crt}
    encryption: {ServerSideEncryption: AES256}
  overrides: [{bucketName: mine, credentials: {fromEnv: true}}]
"""
    known = Providers({"providers": told})
    assert known.secrets(["s3://b/x", "s3://b/y"]) == {"one": ("a", "s", "ca.crt"), "two": ("t",)}
    mine = known.of("s3://mine/x")
    assert (mine.session_token, mine.ca) == (None, ("one", "ca.crt"))
    assert mine.encryption == (("ServerSideEncryption", "AES256"),)


def test_containers_are_told_without_keys(known):
    variables = known.variables(["s3://mine/deep/x", "gs://b/x", "s3://b/y", "/a/b"])
    references = [each["valueFrom"]["secretKeyRef"] for each in variables[1:]]
    assert references == [
        {"name": "keys", "key": "a"},
        {"name": "keys", "key": "s"},
        {"name": "google", "key": "t.json"},
    ]
    environment = {each["name"]: each.get("value", "value") for each in variables}
    again, keys = providers.from_environment(environment)
    assert again.of("s3://mine/deep/x") == known.of("s3://mine/deep/x")
    assert keys == {"keys": {"a": "value", "s": "value"}, "google": {"t.json": "value"}}
    assert providers.from_environment({})[0].of("s3://b") == Provider()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no YAML"),
        ("[]", "providers is .*; want an object"),
        ("azure: {}", "providers.azure: there are s3, minio, gs"),
        ("s3: {overrides: []}", "providers.s3.default is missing"),
        ("s3: {default: {}, other: {}}", "default.credentials is None; want an object"),
        ("s3: {default: {credentials: {}}}", "secretRef is None; want an object, or fromEnv: true"),
        ("s3: {default: {credentials: {secretRef: {}}}}", "secretName is None; want a text"),
        ("s3: {default: {where: 1, credentials: {}}}", "default.where: there are endpoint, region"),
        ("s3: {default: {region: 1, credentials: {}}}", "default.region is 1; want a str"),
        ("s3: {default: {credentials: {}, ca: {key: x}}}", "ca.secretName is None; want a text"),
        (
            "s3: {default: {credentials: {}, encryption: {ServerSideEncryption: a, x: b}}}",
            "encryption.x: there are ServerSideEncryption, SSEKMSKeyId",
        ),
        (
            "s3: {default: {credentials: {fromEnv: true}}, more: 1}",
            "there are default and overrides",
        ),
    ],
)
def test_what_is_wrong_is_named(text, message):
    with pytest.raises(ProvidersError, match=message):
        Providers({"providers": text})
