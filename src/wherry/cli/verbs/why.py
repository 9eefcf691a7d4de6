"""`wherry why`: the chain from an object down to what holds it back, with the mend."""

import datetime
import json
import sys
from argparse import Namespace
from collections.abc import Iterator

from wherry.cli import failures, session, targets
from wherry.cli.session import Session
from wherry.cli.targets import Target
from wherry.cli.why import fetching, inquiry
from wherry.cli.why.finding import Finding
from wherry.cli.why.inquiry import Report

_STEP = "  "
_MOST_NAMED = 6


def run(options: Namespace) -> int:
    """Print what holds each object back; fail only where one does not exist."""
    return session.run(options, _why)


async def _why(opened: Session, options: Namespace) -> int:
    wanted = await targets.parse(options.objects, opened.resources)
    if any(not target.names for target in wanted):
        raise failures.UsageError("which one? Want KIND/NAME, e.g. deployment/web")
    reports = []
    fetcher = fetching.Fetcher(opened)
    for target in wanted:
        reports += [await _one(opened, fetcher, target, name) for name in target.names]
    if options.output == "json":
        told = [
            {**report.finding.to_dict(), "lookedAt": list(report.looked_at)} for report in reports
        ]
        print(json.dumps(told[0] if len(told) == 1 else told, indent=2, ensure_ascii=False))
    else:
        print("\n\n".join("\n".join(_lines(report)) for report in reports))
    for refusal in dict.fromkeys(fetcher.refused):
        print(f"wherry: not looked at: {refusal}", file=sys.stderr)
    absent = any(not report.looked_at for report in reports)
    return failures.FAILURE if absent else failures.SUCCESS


async def _one(opened: Session, fetcher: fetching.Fetcher, target: Target, name: str) -> Report:
    namespace = opened.namespace if target.resource.namespaced else ""
    return await inquiry.investigate(
        target.resource,
        namespace,
        name,
        answer=fetcher.answer,
        now=datetime.datetime.now(datetime.UTC),
    )


def _lines(report: Report) -> Iterator[str]:
    yield from _tell(report.finding, "")
    if not report.finding.holds_back:
        yield ""
        named = list(report.looked_at)
        more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
        yield f"Nothing holds it back. Looked at {', '.join(named[:_MOST_NAMED])}{more}."


def _tell(finding: Finding, indent: str) -> Iterator[str]:
    yield f"{indent}{finding.object}: {finding.statement}"
    inner = indent + _STEP
    for said in finding.evidence:
        yield from (f"{inner}| {line}" for line in said.splitlines())
    for cause in finding.causes:
        yield from _tell(cause, inner)
    if finding.mend:
        first, *rest = finding.mend.splitlines()
        yield f"{inner}-> {first}"
        yield from (f"{inner}   {line}" for line in rest)
