"""What tests of Wherry, and of things that plug into it, stand on.

A running platform is a pytest fixture. Import the ones you need into a ``conftest.py``::

    from wherry.testing.fixtures import platform, shared_platform, running

and use them with the builders, which fill in everything a test does not care about::

    from wherry.objects import kinds
    from wherry.testing import builders
    from wherry.testing.waiting import eventually

    def test_a_pod_ends(platform):
        pod = builders.pod("p", script="echo hello")
        platform.call(platform.client.create(kinds.PODS, pod))

        def phase():
            found = platform.call(platform.client.get(kinds.PODS, "p", "default"))
            return found["status"]["phase"] == "Succeeded"

        eventually(phase)

===================  ==============================================================================
``fixtures``         ``platform`` (one a test), ``shared_platform`` (one a session, quicker), both
                     in a thread of the test's process; ``running``: a process of its own, that a
                     test may kill and start again
``in_process``       the class behind the first two, ``running`` the one behind the third
``images``           real images, made in memory and pushed to a registry
``registries``       fixtures of a registry with such an image, and of an engine that runs it
``builders``         objects with defaults: ``pod``, ``job``, ``deployment``, ``service``, ...
``waiting``          ``eventually``: wait for a state of the world, never for a fixed time
``clock``            a clock that a test moves
``played``           a control plane in memory whose pods are played: no processes, so that tests of
                     controllers are quick and decide themselves how pods end
===================  ==============================================================================
"""
