"""Pods that start together or not at all, whose turn it is, and who has to make room.

`membership` says which pods are one gang, `units` what is placed as one, `queues` whose turn it is,
`fitting` where it fits, `preemption` who would have to go; `planning` puts them together into one
pass, and `messages` words what does not fit. All of these are pure. `scheduler` in the folder above
reads, asks `planning`, and writes; `controller` keeps the status of PodGroups and Queues.
"""
