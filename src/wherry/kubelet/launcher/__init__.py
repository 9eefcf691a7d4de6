"""The launcher: a small process of its own that starts containers' processes and outlives the control plane.

The control plane talks to it through ``wherry.kubelet.launcher.client.Launcher``; the other modules run inside the
launcher, which starts without site-packages, so they import the standard library and one another only.
"""
