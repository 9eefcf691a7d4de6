import base64

import pytest

from wherry.kubelet import environment_variables, fields
from wherry.objects.requests import Object

AROUND = fields.Surroundings("127.32.0.5", "10.0.0.1", "node-a", {"cpu": "4", "memory": "8Gi"})
OBJECTS = {
    ("configMap", "settings"): {
        "metadata": {"name": "settings", "namespace": "team"},
        "data": {"COLOUR": "green", "bad key=": "x"},
    },
    ("secret", "login"): {
        "metadata": {"name": "login", "namespace": "team"},
        "data": {"PASSWORD": base64.b64encode(b"hush").decode()},
    },
}


def pod(container: Object) -> Object:
    return {
        "metadata": {
            "name": "p",
            "namespace": "team",
            "uid": "u-1",
            "labels": {"app": "web"},
            "annotations": {"note": 'say "hi"\n'},
        },
        "spec": {"containers": [container]},
    }


async def lookup(kind: str, name: str) -> Object | None:
    return OBJECTS.get((kind, name))


async def variables(container: Object, services: dict[str, str] | None = None) -> dict[str, str]:
    sources = environment_variables.Sources(pod(container), AROUND, lookup, services or {})
    return await environment_variables.variables(container, sources)


async def test_order_and_expansion() -> None:
    found = await variables(
        {
            "name": "c",
            "envFrom": [
                {"configMapRef": {"name": "settings"}, "prefix": "P_"},
                {"secretRef": {"name": "absent", "optional": True}},
            ],
            "env": [
                {"name": "A", "value": "$(P_COLOUR)-$(SVC)"},
                {"name": "B", "value": "$(A)!$$(A)$(LATER)"},
                {"name": "LATER", "value": "x"},
                {"name": "P_COLOUR", "value": "red"},
            ],
        },
        {"SVC": "host"},
    )
    assert found["A"] == "green-host"
    assert found["B"] == "green-host!$(A)$(LATER)"
    assert found["P_COLOUR"] == "red"
    assert "P_bad key=" not in found


async def test_value_from() -> None:
    found = await variables(
        {
            "name": "c",
            "resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "1Gi"}},
            "env": [
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {
                    "name": "CPU",
                    "valueFrom": {
                        "resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}
                    },
                },
                {
                    "name": "MEM",
                    "valueFrom": {
                        "resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}
                    },
                },
                {"name": "ALL", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "login", "key": "PASSWORD"}}},
                {
                    "name": "NONE",
                    "valueFrom": {
                        "configMapKeyRef": {"name": "settings", "key": "no", "optional": True}
                    },
                },
            ],
        }
    )
    assert found == {
        "NAME": "p",
        "IP": "127.32.0.5",
        "APP": "web",
        "CPU": "250",
        "MEM": "1024",
        "ALL": "4",
        "PW": "hush",
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"secretKeyRef": {"name": "absent", "key": "k"}}, 'secret "absent" not found'),
        (
            {"configMapKeyRef": {"name": "settings", "key": "k"}},
            "couldn't find key k in ConfigMap team/settings",
        ),
        ({"fieldRef": {"fieldPath": "spec.secretThing"}}, "not supported"),
        ({"resourceFieldRef": {"resource": "limits"}}, "limits.NAME"),
    ],
)
async def test_what_is_missing_is_named(source: Object, message: str) -> None:
    with pytest.raises(environment_variables.ConfigError, match=message):
        await variables({"name": "c", "env": [{"name": "X", "valueFrom": source}]})


def test_annotations_print_as_a_file() -> None:
    text = fields.field(pod({"name": "c"}), "metadata.annotations", AROUND)
    assert text == 'note="say \\"hi\\"\\n"'


def test_service_variables() -> None:
    services = [
        {
            "metadata": {"name": "my-db"},
            "spec": {
                "clusterIP": "127.96.0.9",
                "ports": [{"name": "sql", "port": 5432}, {"port": 80, "protocol": "TCP"}],
            },
        },
        {"metadata": {"name": "headless"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}},
    ]
    found = environment_variables.service_variables(services)
    assert found["MY_DB_SERVICE_HOST"] == "127.96.0.9"
    assert found["MY_DB_SERVICE_PORT"] == found["MY_DB_SERVICE_PORT_SQL"] == "5432"
    assert found["MY_DB_PORT_80_TCP"] == "tcp://127.96.0.9:80"
    assert found["MY_DB_PORT_80_TCP_ADDR"] == "127.96.0.9"
    assert not any(name.startswith("HEADLESS") for name in found)
    api = environment_variables.api_variables("127.0.0.1", 6443)
    assert (api["KUBERNETES_SERVICE_HOST"], api["KUBERNETES_SERVICE_PORT"]) == ("127.0.0.1", "6443")
