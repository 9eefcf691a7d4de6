"""HorizontalPodAutoscalers: what is measured decides how many pods there are."""
