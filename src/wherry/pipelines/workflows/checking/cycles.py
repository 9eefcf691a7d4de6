"""Cycles in what depends on what."""

from collections.abc import Collection, Mapping


def find(graph: Mapping[str, Collection[str]]) -> list[str]:
    """Return a cycle, its first name again at the end; empty: there is none.

    Args:
        graph: What each name depends on; names that are no keys depend on nothing.
    """
    done: set[str] = set()
    for start in graph:
        path, within = [start], {start}
        todo = [iter(graph[start])] if start not in done else []
        while todo:
            name = next(todo[-1], None)
            if name is None:
                todo.pop()
                done.add(path[-1])
                within.discard(path.pop())
            elif name in within:
                return [*path[path.index(name) :], name]
            elif name in graph and name not in done:
                path.append(name)
                within.add(name)
                todo.append(iter(graph[name]))
    return []


def before(graph: Mapping[str, Collection[str]], name: str) -> set[str]:
    """Return all that a name depends on, straight or through others."""
    found: set[str] = set()
    todo = [name]
    while todo:
        for each in graph.get(todo.pop(), ()):
            if each not in found:
                found.add(each)
                todo.append(each)
    return found
