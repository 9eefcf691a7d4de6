"""HTTPS servers that run beside controllers: for the API's webhooks, and for what pods have to tell.

Replicas share a certificate, which is its own authority and is kept in a Secret.
"""
