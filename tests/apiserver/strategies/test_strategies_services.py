"""Services: defaults, and addresses that no two of them ever share."""

import copy
from typing import Any

import pytest

from wherry.apiserver import allocators, creating
from wherry.apiserver.call import Call
from wherry.apiserver.identity import User
from wherry.objects import errors, kinds
from wherry.objects.requests import Request
from wherry.objects.resources import Resource


def service(*ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"ports": list(ports) or [{"port": 80}], "selector": {"app": "a"}, **spec}}


async def test_defaults_and_address(writer):
    spec = writer.good(kinds.SERVICES, service())["spec"]
    address = spec.pop("clusterIP")
    assert address.startswith("127.")
    assert spec == {
        "type": "ClusterIP",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "selector": {"app": "a"},
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "clusterIPs": [address],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }


async def test_headless_and_external_services_get_no_address(writer):
    headless = writer.good(kinds.SERVICES, service(clusterIP="None"))["spec"]
    assert (headless["clusterIP"], headless["clusterIPs"]) == ("None", ["None"])
    external = writer.good(
        kinds.SERVICES, {"spec": {"type": "ExternalName", "externalName": "example.com"}}
    )["spec"]
    assert "clusterIP" not in external
    assert "internalTrafficPolicy" not in external


async def test_node_ports_are_given(writer):
    ports = ({"port": 1, "name": "a"}, {"port": 2, "name": "b", "nodePort": 30100})
    spec = writer.good(kinds.SERVICES, service(*ports, type="NodePort"))["spec"]
    assert spec["externalTrafficPolicy"] == "Cluster"
    first, second = (port["nodePort"] for port in spec["ports"])
    assert 30000 <= first <= 32767
    assert second == 30100


async def test_a_node_port_that_is_asked_for_is_given_to_no_other_port_of_the_service(writer):
    before = int(writer.core.node_ports.allocate())
    wanted = before + 1 if before < 32767 else 30000
    ports = ({"port": 1, "name": "a"}, {"port": 2, "name": "b", "nodePort": wanted})
    spec = writer.good(kinds.SERVICES, service(*ports, type="NodePort"))["spec"]
    first, second = (port["nodePort"] for port in spec["ports"])
    assert second == wanted != first


@pytest.mark.parametrize("made", [allocators.ClusterIPs, allocators.NodePorts])
def test_platforms_of_one_machine_do_not_begin_with_the_same_values(made):
    assert len({made().allocate() for _ in range(20)}) > 1


async def test_tcp_and_udp_may_share_a_node_port(writer):
    ports = (
        {"port": 53, "name": "a", "protocol": "TCP", "nodePort": 30053},
        {"port": 53, "name": "b", "protocol": "UDP", "nodePort": 30053},
    )
    spec = writer.good(kinds.SERVICES, service(*ports, type="NodePort"))["spec"]
    assert [port["nodePort"] for port in spec["ports"]] == [30053, 30053]


async def test_what_is_in_use_is_refused_and_stays_in_use(writer):
    first = writer.good(kinds.SERVICES, service({"port": 1, "nodePort": 30001}, type="NodePort"))
    address = first["spec"]["clusterIP"]
    for wanted in (
        service(clusterIP=address),
        service({"port": 1, "nodePort": 30001}, type="NodePort"),
        service({"port": 0}, clusterIP=address),
    ):
        obj = writer.default(kinds.SERVICES, wanted)
        strategy, context = writer.strategy(kinds.SERVICES), writer.context(kinds.SERVICES)
        with pytest.raises(errors.InvalidError):
            strategy.prepare_create(obj, context)
        # The registry gives back what a refused object has.
        writer.release(kinds.SERVICES, obj)
        with pytest.raises(ValueError, match="already allocated"):
            writer.core.cluster_ips.allocate(address)
        with pytest.raises(ValueError, match="already allocated"):
            writer.core.node_ports.allocate("30001")


async def test_released_values_can_be_had_again(writer):
    obj = writer.good(kinds.SERVICES, service({"port": 1, "nodePort": 30002}, type="NodePort"))
    writer.release(kinds.SERVICES, obj)
    again = service({"port": 1, "nodePort": 30002}, type="NodePort")
    again["spec"]["clusterIP"] = obj["spec"]["clusterIP"]
    writer.good(kinds.SERVICES, again)


async def test_a_failed_creation_keeps_no_address(writer):
    writer.good(kinds.SERVICES, service({"port": 1, "nodePort": 30003}, type="NodePort"))
    refused = service({"port": 1, "nodePort": 30003}, type="NodePort", clusterIP="127.96.0.99")
    with pytest.raises(errors.InvalidError, match="nodePort"):
        writer.create(kinds.SERVICES, refused)
    assert writer.core.cluster_ips.allocate("127.96.0.99") == "127.96.0.99"


async def test_updates_keep_the_address_and_the_node_port(writer):
    old = writer.good(kinds.SERVICES, service(type="NodePort"))
    new = {**old, **copy.deepcopy(service(type="NodePort"))}
    made, found = writer.update(kinds.SERVICES, new, old)
    assert found == []
    assert made["spec"]["clusterIP"] == old["spec"]["clusterIP"]
    assert made["spec"]["ports"] == old["spec"]["ports"]


async def test_the_address_may_not_change(writer):
    old = writer.good(kinds.SERVICES, service())
    new = {**old, "spec": {**old["spec"], "clusterIP": "127.96.1.1", "clusterIPs": ["127.96.1.1"]}}
    _, found = writer.update(kinds.SERVICES, new, old)
    assert [cause.field for cause in found] == ["spec.clusterIPs[0]"]
    assert "may not change once set" in found[0].message


async def test_changing_the_type_takes_and_gives_back(writer):
    old = writer.good(kinds.SERVICES, service())
    asked = {**old, "spec": {**copy.deepcopy(old["spec"]), "type": "NodePort"}}
    node, found = writer.update(kinds.SERVICES, asked, old)
    port = node["spec"]["ports"][0]["nodePort"]
    assert (found, port >= 30000) == ([], True)
    plain = copy.deepcopy(node)
    plain["spec"]["type"] = "ClusterIP"
    back, found = writer.update(kinds.SERVICES, plain, node)
    assert found == []
    assert "nodePort" not in back["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in back["spec"]
    assert writer.core.node_ports.allocate(str(port)) == str(port)
    external = {**back, "spec": {"type": "ExternalName", "externalName": "a.example"}}
    gone, found = writer.update(kinds.SERVICES, external, back)
    assert (found, "clusterIP" in gone["spec"]) == ([], False)
    address = old["spec"]["clusterIP"]
    assert writer.core.cluster_ips.allocate(address) == address


async def test_dry_run_updates_take_nothing(writer):
    old = writer.good(kinds.SERVICES, service())
    asked = copy.deepcopy(old)
    asked["spec"]["type"] = "NodePort"
    made, _ = writer.update(kinds.SERVICES, asked, old, dry_run=True)
    port = str(made["spec"]["ports"][0]["nodePort"])
    assert writer.core.node_ports.allocate(port) == port


@pytest.mark.parametrize(
    ("obj", "field", "text"),
    [
        ({"spec": {}}, "spec.ports", "Required value"),
        (service({"port": 0}), "spec.ports[0].port", "must be between 1 and 65535"),
        (service({"port": 1}, {"port": 2, "name": "b"}), "spec.ports[0].name", "Required value"),
        (
            service({"port": 1, "name": "a"}, {"port": 2, "name": "a"}),
            "spec.ports[1].name",
            "Duplicate value",
        ),
        (
            service({"port": 1, "name": "a"}, {"port": 1, "name": "b"}),
            "spec.ports[1]",
            "Duplicate value",
        ),
        (service({"port": 1, "nodePort": 30004}), "spec.ports[0].nodePort", "may not be used"),
        (service(type="Mine"), "spec.type", '"ExternalName"'),
        (service(sessionAffinity="Sticky"), "spec.sessionAffinity", '"ClientIP"'),
        ({"spec": {"type": "ExternalName"}}, "spec.externalName", "Required value"),
        (service(clusterIP="None", type="NodePort"), "spec.clusterIPs[0]", "may not be set"),
        (service(externalIPs=["nowhere"]), "spec.externalIPs[0]", "valid IP address"),
        (service(selector={"a b": "c"}), "spec.selector", "name part"),
        (service({"port": 1, "targetPort": "-x"}), "spec.ports[0].targetPort", "hyphen"),
    ],
)
async def test_refused(writer, obj, field, text):
    with pytest.raises(errors.InvalidError) as caught:
        writer.create(kinds.SERVICES, obj)
    (cause,) = caught.value.details["causes"]
    assert cause["field"] == field
    assert text in cause["message"]


async def test_session_affinity_gets_its_time(writer):
    made = writer.good(kinds.SERVICES, service(sessionAffinity="ClientIP"))
    assert made["spec"]["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}


async def test_endpoints_and_slices(writer):
    made = writer.default(kinds.ENDPOINTS, {"subsets": [{"ports": [{"port": 1}]}]})
    assert made["subsets"][0]["ports"] == [{"port": 1, "protocol": "TCP"}]
    _, found = writer.create(kinds.ENDPOINTS, {"subsets": [{"ports": [{"port": 1}]}]})
    assert [cause.field for cause in found] == ["subsets[0]"]
    slice_ = {"addressType": "IPv4", "endpoints": [{"addresses": ["1.2.3.4"]}], "ports": [{}]}
    old = writer.good(kinds.ENDPOINT_SLICES, slice_)
    assert old["ports"] == [{"protocol": "TCP", "name": ""}]
    _, found = writer.update(kinds.ENDPOINT_SLICES, {**old, "addressType": "IPv6"}, old)
    assert [cause.field for cause in found] == ["addressType"]


async def test_kubectl_style_objects_through_the_whole_registry(writer):
    """What ``kubectl create --dry-run=client -o json`` prints can be created as it is."""
    await writer.store(kinds.NAMESPACES, {"metadata": {"name": "default"}})
    meta = {"name": "web", "creationTimestamp": None, "labels": {"app": "web"}}
    pod = {"containers": [{"name": "nginx", "image": "nginx", "resources": {}}]}
    template = {"metadata": {"creationTimestamp": None, "labels": {"app": "web"}}, "spec": pod}
    bodies: dict[Resource, dict[str, Any]] = {
        kinds.DEPLOYMENTS: {
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "web"}},
                "strategy": {},
                "template": template,
            },
            "status": {},
        },
        kinds.SERVICES: {
            "spec": {
                "ports": [{"name": "80", "port": 80, "protocol": "TCP", "targetPort": 80}],
                "selector": {"app": "web"},
                "type": "ClusterIP",
            },
            "status": {"loadBalancer": {}},
        },
        kinds.JOBS: {
            "spec": {
                "template": {
                    "metadata": {"creationTimestamp": None},
                    "spec": {**pod, "restartPolicy": "Never"},
                }
            },
            "status": {},
        },
        kinds.PODS: {
            "spec": {**pod, "dnsPolicy": "ClusterFirst", "restartPolicy": "Always"},
            "status": {},
        },
        kinds.CONFIG_MAPS: {"data": {"a": "b"}},
        kinds.SECRETS: {"data": {"a": "Yg=="}},
    }
    for resource, body in bodies.items():
        head = {"apiVersion": resource.api_version, "kind": resource.kind}
        request = Request(
            "create",
            resource,
            namespace="default",
            body={**head, "metadata": copy.deepcopy(meta), **copy.deepcopy(body)},
        )
        answer = await creating.create(writer.core, Call(request, User("ann")))
        assert answer.code == 201, resource
