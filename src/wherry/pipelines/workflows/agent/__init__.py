"""What Wherry runs in the pods of Workflows: it brings artifacts, and stands in for containers.

    python -m wherry.pipelines.workflows.agent fetch
    python -m wherry.pipelines.workflows.agent deliver READY
    python -m wherry.pipelines.workflows.agent resource
    python -m wherry.pipelines.workflows.agent http
    python -m wherry.pipelines.workflows.agent data
    python -m wherry.pipelines.workflows.agent progress

As the agent of pipelines (`wherry.pipelines.staging.agent`): what is to be done stands in the variable
WHERRY_STAGE, the last words are one line of JSON. The standard library does, but for stores.
"""
