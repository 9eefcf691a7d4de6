"""The language of expressions in workflows: expr-lang's, with the functions that Argo adds."""
