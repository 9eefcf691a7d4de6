"""Defaults and rules of what is in a pod, for pods and for every template of pods."""
