"""Custom kinds declared as dataclasses: their fields, their schemas, their definitions. Pure.

A product writes down once what a user may write (`fields.about`), and everything else follows from
it: the schema of the CustomResourceDefinition (`structural`), the definition itself (`kind`), and
typed reading of what the API holds (`reading`).
"""
