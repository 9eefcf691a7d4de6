"""The language of expressions: what it gives, what it refuses, and that it ends."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.pipelines.workflows.expr import program, values
from wherry.pipelines.workflows.expr.errors import ExprError, UnknownNameError

ENV = {
    "inputs": {
        "parameters": {"n": "5", "my-p": " t ", "json": '{"a":{"b":[1,2]},"l":[{"n":"x"}]}'}
    },
    "tasks": {"gone": None, "t": {"outputs": {"result": "r"}}},
    "item": {"k": "v"},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 + 2 * 3", 7),
        ("2 ** 3 ** 2", 512.0),
        ("10 / 4", 2.5),
        ("-7 % 3", -1),
        ("0x10 + 0b1 + 1_000", 1017),
        ("1 < 2 < 3", True),
        ("1 == 1.0 && '1' != 1 && true != 1", True),
        ("not (1 > 2) and 'a' in ['a']", True),
        ("'b' not in ['a'] && 'k' in item", True),
        ("'abc' startsWith 'ab' && 'abc' endsWith 'c' && 'abc' contains 'b'", True),
        ("'a1' matches '^[a-z][0-9]$'", True),
        ("1 > 2 ? 'a' : 2 > 1 ? 'b' : 'c'", "b"),
        ("if 1 > 2 { 'a' } else if true { 'b' } else { 'c' }", "b"),
        ("let x = 2; let y = x * 2; x + y", 6),
        ("1; 2; 3", 3),
        ("inputs.parameters['my-p'] | trim() | upper()", "T"),
        ("tasks.gone?.outputs.result ?? 'none'", "none"),
        ("tasks.t?.outputs.result", "r"),
        ("tasks['t'].outputs['result']", "r"),
        ("[1, 2, 3, 4][1:3]", [2, 3]),
        ("'hello'[:2] + 'hello'[-1]", "heo"),
        ("{a: 1, 'b c': [2]}['b c'][0]", 2),
        ("1..3", [1, 2, 3]),
        (r'"a\tb\u00e9" + `c\n`', "a\tbé" + r"c\n"),
        ("/* one */ 1 // two", 1),
        ("filter([1, 2, 3], {# > 1})", [2, 3]),
        ("map([1, 2], # * 2)", [2, 4]),
        ("map([{'a': 1}], .a)", [1]),
        ("filter([[1], [2, 3]], {any(#, {# > 2})})", [[2, 3]]),
        ("all([1], # > 0) && any([0, 1], # > 0) && none([0], # > 0) && one([0, 1], # > 0)", True),
        ("count([1, 2, 3], # > 1) + sum([1, 2]) + len('abc')", 8),
        ("reduce(1..4, #acc * #)", 24),
        ("reduce([], #acc + #, 10)", 10),
        ("find([1, 2, 3], # > 1) + findLastIndex([1, 2, 3], # > 1)", 4),
        ("groupBy([1, 2, 3], # % 2)", {"1": [1, 3], "0": [2]}),
        ("sortBy([{'a': 2}, {'a': 1}], .a, 'desc')[0].a", 2),
        ("sort([3, 1, 2])", [1, 2, 3]),
        ("flatten([1, [2, [3]]]) == concat([1], [2, 3])", True),
        ("uniq([1, 1, 2])", [1, 2]),
        ("join(keys({'a': 1, 'b': 2})) + string(values({'a': 1}))", "ab[1]"),
        ("join(split('a,b', ','), '-')", "a-b"),
        ("toJSON([1]) contains '\\n'", True),
        ("toJson({'b': 2.0, 'a': [nil, true]})", '{"a":[null,true],"b":2}'),
        ("fromJSON('[1]')[0]", 1),
        ("asInt(inputs.parameters.n) * 10", 50),
        ("asFloat('1.5')", 1.5),
        ("string(1) + string(2.0) + string(true)", "12true"),
        ("jsonpath(inputs.parameters.json, '$.a.b')", [1, 2]),
        ("jsonpath(inputs.parameters.json, '$.l[0].n')", "x"),
        ("jsonpath(inputs.parameters.json, \"$.l[?(@.n=='x')].n\")", ["x"]),
        ("max(1, 3, 2) - min([4, 2])", 1),
        ("round(2.5) + floor(1.9) + ceil(0.1) + abs(-1)", 6.0),
        ("mean([1, 2]) + median([3, 1, 2])", 3.5),
        ("type(nil) + type([]) + type(now())", "nilarraytime"),
        ("bitand(6, 3) + bitshl(1, 4)", 18),
        ("toBase64('a') + fromBase64('YQ==')", "YQ==a"),
        ("(date('2020-01-02') - date('2020-01-01')).Hours()", 24.0),
        ("date('2023-08-14T10:20:30Z').Format('02.01.2006 15:04')", "14.08.2023 10:20"),
        ("date('14/08/2023', '02/01/2006').Year()", 2023),
        ("string(duration('1h') + duration('90s'))", "1h1m30s"),
        ("now() > date('2020-01-01') && duration('1m') < duration('1h')", True),
        ("sprig.trimSuffix('-', 'a-') + sprig.default('d', '') + sprig.repeat(2, 'x')", "adxx"),
        ("sprig.date('2006', '2023-05-06T07:08:09Z')", "2023"),
        (
            "date('2023-05-06T07:08:09Z').In(timezone('Asia/Kolkata')).Format('15:04 -07:00 Z07')",
            "12:38 +05:30 +05",
        ),
        ("sprig.dateInZone('15:04', '2023-05-06T07:08:09Z', 'Asia/Tokyo')", "16:08"),
        ("sprig.int('x') + sprig.add(1, '2') + sprig.div(7, 2)", 6),
        ("sprig.regexReplaceAll('a(x*)b', 'axxb', '${1}W')", "xxW"),
        ("sprig.splitList('$', 'a$b') == sprig.list('a', 'b')", True),
        ("sprig.dig('a', 'b', 'none', {'a': {}})", "none"),
        ("sprig.ternary('y', 'n', true) + sprig.kebabcase('FirstName')", "yfirst-name"),
        ("sprig.fromJson(sprig.toJson(sprig.dict('a', 1))).a", 1),
        ("sprig.sha256sum('a')[:8] + sprig.b64enc('a')", "ca978112YQ=="),
        (
            "sprig.base('/a/b.txt') + sprig.ext('b.txt') + sprig.substr(0, 2, 'hello')",
            "b.txt.txthe",
        ),
    ],
)
def test_values(source, value):
    found = program.evaluate(source, ENV)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("1 +", "unexpected end"),
        ("(1", "unexpected end"),
        ("'a", "unrecognized character"),
        ("a b", "unexpected 'b'"),
        ("# > 1", "unexpected '#'"),
        ("1 + 'a'", "int + string"),
        ("1 ? 2 : 3", "not a bool"),
        ("nil.a", "cannot fetch 'a' from nil"),
        ("[1][3]", "index out of range"),
        ("int('x')", "no whole number"),
        ("fromJSON('{')", "no JSON"),
        ("jsonpath('{}', '$.a')", "leads nowhere"),
        ("len(1)", "invalid argument for len"),
        ("len()", "takes 1 arguments"),
        ("'a'()", "unexpected '('"),
        ("sprig.fail('no')", "no"),
        ("timezone('Europe')", "unknown time zone 'Europe'"),
        ("9223372036854775807 + 1", "64 bits"),
        ("'a' matches '('", "error parsing regexp"),
        ("inputs.parameters()", "no function"),
        ("(" * 100 + "1" + ")" * 100, "nests deeper"),
        ("1" * 20_000, "at most 16384"),
    ],
)
def test_what_has_no_value_says_why(source, said):
    with pytest.raises(ExprError) as refused:
        program.evaluate(source, ENV)
    assert said in str(refused.value)


def test_a_name_that_there_is_not():
    with pytest.raises(UnknownNameError) as refused:
        program.evaluate("1 + foo.bar", ENV)
    assert refused.value.name == "foo"


_SHARED = "let a = map(1..9, #); " + " ".join(
    f"let {name} = [{', '.join([below] * 9)}];" for below, name in itertools.pairwise("abcdeghijkf")
)
"""A list whose parts stand in it again and again: small, and without an end for who walks through it."""


@pytest.mark.parametrize(
    "source",
    [
        "map(1..9999, map(1..9999, #))",
        "reduce(1..1000, #acc + #acc, 'aaaaaaaaaaaaaaaaaaaaaaaaa')",
        "repeat('a', 1000000000)",
        "sprig.repeat(1000000000, 'a')",
        "sprig.until(1000000000)",
        "1..1000000000",
        "reduce(1..100, concat(#acc, #acc), [1])",
        "sprig.indent(1000000000, 'a')",
        "2 ** 10000",
        "join(map(1..50000, 'a'), repeat('x', 100000))",
        "sprig.join(repeat('x', 100000), map(1..50000, 'a'))",
        "replace(repeat('a', 100000), '', repeat('x', 100000))",
        "sprig.replace('a', repeat('x', 100000), repeat('a', 100000))",
        "sprig.wrapWith(1, repeat('x', 100000), repeat('a ', 50000))",
        "sprig.regexReplaceAll('a', repeat('a', 10000), repeat('$0', 100000))",
        "sprig.regexReplaceAllLiteral('a', repeat('a', 10000), repeat('x', 100000))",
        f"{_SHARED} string(f)",
        f"{_SHARED} toJson(f)",
        f"{_SHARED} flatten(f)",
        f"{_SHARED} f == [f]",
        f"{_SHARED} f in [1]",
        f"{_SHARED} {{}}[f]",
        f"{_SHARED} {{(f): 1}}",
        f"{_SHARED} !f",
        f"{_SHARED} f",
        f"{_SHARED} groupBy([1], f)",
        "jsonpath('[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"]', \"$[?match(@, '(a+)+')]\")",
        "jsonpath('[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"]', '$[?@ =~ /(a+)+b/]')",
        "jsonpath(repeat('[', 200) + repeat(']', 200), '$' + repeat('[*,*]', 199))",
    ],
)
def test_what_would_take_long_or_much_is_ended(source):
    with pytest.raises(ExprError):
        program.evaluate(source, ENV)


@given(JSON)
def test_json_there_and_back(value):
    assert program.evaluate("fromJSON(toJson(v))", {"v": value}) == value
    assert json.loads(values.json_text(value)) == value
    assert program.evaluate("v == fromJSON(toJson(v))", {"v": value}) is True


@given(st.lists(st.integers(-1000, 1000), max_size=20))
def test_lists_hold_to_what_python_says_of_them(numbers):
    env = {"l": numbers}
    assert program.evaluate("filter(l, # % 2 == 0)", env) == [n for n in numbers if n % 2 == 0]
    assert program.evaluate("sum(map(l, # * 2))", env) == 2 * sum(numbers)
    assert program.evaluate("sort(l)", env) == sorted(numbers)
    assert program.evaluate("len(uniq(l))", env) == len(set(numbers))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        program.parse(text)
    except ExprError:
        return
    program.needed(text)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (
            "steps.a.outputs.result + inputs.parameters['b-c']",
            {"steps.a.outputs.result", "inputs.parameters.b-c"},
        ),
        ("tasks.x.outputs.result ?? inputs.parameters.z", {"inputs.parameters.z"}),
        ("tasks.x?.y", set()),
        ("sprig.trim(a.b) + string(now())", {"a.b"}),
        ("cronworkflow.last.Seconds() > 1", {"cronworkflow.last"}),
        ("let q = a; filter(q, .b)", {"a"}),
    ],
)
def test_what_an_expression_cannot_do_without(source, names):
    assert program.needed(source) == names
    assert program.needed(source, guarded=True) >= names
