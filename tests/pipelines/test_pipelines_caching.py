"""Fingerprints are upstream's, number for number."""

import hashlib

import pytest

from wherry.pipelines import caching

INSTANCE = (
    "title: kfp.Model\ntype: object\nproperties:\n  framework:\n    type: string\n"
    "  framework_version:\n    type: string\n"
)
KEY = {
    "inputArtifactNames": {
        "dataset_one": {"artifactNames": ["1"]},
        "dataset_two": {"artifactNames": ["2"]},
    },
    "inputParameterValues": {"message": "Some string value", "num_steps": 5},
    "outputArtifactsSpec": {
        "model": {
            "name": "model",
            "type": {"instanceSchema": INSTANCE},
            "metadata": {"name": "model"},
        },
        "metrics": {
            "name": "metrics",
            "type": {"schemaTitle": "kfp.Metrics"},
            "metadata": {"name": "metrics"},
        },
    },
    "outputParametersSpec": {"output_parameter_one": "STRING", "output_parameter_two": "INT"},
    "containerSpec": {"cmdArgs": ["sh", "ec", "test"], "image": "python:3.11"},
}
SMALL = {
    "inputArtifactNames": {"dataset": {"artifactNames": ["10"]}},
    "outputParametersSpec": {"output_parameter": "DOUBLE"},
    "containerSpec": {"cmdArgs": ["sh", "ec", "run"], "image": "python:3.11"},
}


@pytest.mark.parametrize(
    ("key", "fingerprint"),
    [
        (KEY, "b498530c9016917298999ec0b01f364a180f8a3862bea0fa672a383ca3f22e4e"),
        (SMALL, "3d9a2a778fa3174c6cfc6e639c507c265b5f21ef6e5b1dd70b236462cc6da464"),
    ],
)
def test_a_fingerprint_is_the_one_that_upstreams_test_wants(key, fingerprint):
    assert caching.digest(key) == fingerprint


def test_a_whole_number_is_one_however_it_is_written():
    def key(number):
        return {"inputParameterValues": {"n": number, "all": [number]}}

    assert caching.digest(key(5)) == caching.digest(key(5.0))
    assert caching.digest(key(5)) != caching.digest(key(5.5))


def test_characters_that_go_escapes_are_escaped():
    # sha256 of {"x":"a\\u003cb\\u0026c\u00fc"}
    found = caching.digest({"x": "a<b&c\u00fc"})
    assert found == hashlib.sha256('{"x":"a\\u003cb\\u0026c\u00fc"}'.encode()).hexdigest()
