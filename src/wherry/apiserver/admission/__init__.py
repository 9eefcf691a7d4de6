"""What may stop or change a write besides the rules of its kind: quotas, policies, webhooks."""
