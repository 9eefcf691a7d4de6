"""Connections into pods: exec, attach, port-forward and proxy, in the protocols that clients speak.

What happens at the other end is the node's affair, which `wherry.apiserver.pod_streams` describes.
"""
