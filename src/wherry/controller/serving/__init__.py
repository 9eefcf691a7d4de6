"""Servers that run beside controllers: for the API's webhooks, for what pods tell, for what users ask.

Replicas share a certificate, which is its own authority and is kept in a Secret.
"""
