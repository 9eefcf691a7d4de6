"""SPDY/3.1, as far as Kubernetes' clients use it: frames, header blocks, streams.

Source: the SPDY protocol, draft 3.1.
"""
