"""Expressions against the definition of the language, and the functions that Kubernetes adds."""

import subprocess
import sys
from typing import Any

import pytest

from wherry.objects.cel.program import Program
from wherry.objects.cel.syntax import CelSyntaxError
from wherry.objects.cel.values import CelError, CostError

SELF = {
    "a": 5,
    "b": 1,
    "l": [1, 2, 3],
    "m": {"k1": "v1"},
    "s": "hello",
    "f": 1.5,
    "n": None,
    "x-y": 7,
    "namespace": "ns",
    "objs": [{"name": "p", "v": 1}, {"name": "q", "v": 2}],
}


def evaluate(expression: str, **variables: Any) -> Any:
    values = {"self": SELF, "oldSelf": SELF, **variables}
    return Program(expression, tuple(values)).evaluate(values)[0]


@pytest.mark.parametrize(
    "expression",
    [
        "self.a > 1 && !(self.a < 1)",
        "has(self.b) && !has(self.zz) && has(self.m.k1)",
        "self.l.all(x, x > 0) && self.l.exists(x, x == 2) && self.l.exists_one(x, x == 3)",
        "self.m.all(k, k.startsWith('k')) && 'k1' in self.m && !('x' in self.m)",
        "self.l.map(x, x * 2) == [2, 4, 6] && self.l.map(x, x > 1, x * 2) == [4, 6]",
        "self.l.filter(x, x > 1).size() == 2 && size(self.l) == 3",
        "self.l.all(i, v, v > i) && self.m.exists(k, v, k == 'k1' && v == 'v1')",
        "self.l.transformList(i, v, v + i) == [1, 3, 5]",
        "self.m.transformMap(k, v, v + '!') == {'k1': 'v1!'}",
        "self.objs.map(o, o.name).join(',') == 'p,q'",
        "self.objs.all(o, self.objs.exists_one(p, p.name == o.name))",
        "self.?zz.orValue(3) == 3 && self.?b.hasValue() && self[?'zz'].orValue(1) == 1",
        "self.?m.?zz.orValue('d') == 'd' && optional.of(1).value() == 1",
        "self.?b.optMap(v, v + 1).orValue(0) == 2 && {?'a': optional.none()} == {}",
        "[?self.?zz, 1] == [1] && optional.none().or(optional.of(2)).value() == 2",
        "cel.bind(x, self.a, x + 1 == 6)",
        "5 / 2 == 2 && -5 / 2 == -2 && -5 % 3 == -2 && self.f / 2.0 == 0.75",
        "self.a == 5.0 && 1u == 1 && 2 < 2.5 && dyn(1) != 'x' && self.a != '5'",
        "self.n == null && !(true == 1) && type(self.a) == int && type(1u) == uint",
        "self.a > 1 || self.zz > 2",
        "self.zz > 2 || self.a > 1",
        "!(self.zz > 2 && self.a < 1)",
        "self.a > 1 ? true : self.zz",
        "r'\\d' == '\\\\d' && \"a\\\"b\" == 'a\"b' && '\\u00e9'.size() == 1",
        "b'abc' == bytes('abc') && string(b'abc') == 'abc' && '''a\nb'''.contains('\\n')",
        "self.x__dash__y == 7 && self.__namespace__ == 'ns' && self.`x-y` == 7",
        "int('5') == 5 && string(5) == '5' && double('1.5') == 1.5 && string(1.0) == '1'",
        "self.s.matches('^h.*o$') && matches(self.s, 'ell') && !'a\\n'.matches('^a$')",
        "self.s.lowerAscii() == 'hello' && self.s.split('l') == ['he', '', 'o']",
        "self.s.substring(1, 3) == 'el' && self.s.replace('l', 'L', 1) == 'heLlo'",
        "' x '.trim() == 'x' && 'abc'.indexOf('c') == 2 && 'aba'.lastIndexOf('a') == 2",
        "'%s-%d %.2f'.format(['a', 3, 1.5]) == 'a-3 1.50' && 'ab'.reverse() == 'ba'",
        "'abc 123'.find('[0-9]+') == '123' && '1 2'.findAll('[0-9]') == ['1', '2']",
        "self.l.isSorted() && self.l.sum() == 6 && self.l.min() == 1 && self.l.max() == 3",
        "self.l.indexOf(2) == 1 && [1, 1].lastIndexOf(1) == 1 && [1, 1, 2].distinct() == [1, 2]",
        "sets.contains([1, 2], [1]) && sets.equivalent([1, 2], [2, 1]) && sets.intersects([1], [1])",
        "math.greatest(1, 3) == 3 && math.least([2, 1]) == 1 && math.round(1.5) == 2.0",
        "quantity('1Gi').isGreaterThan(quantity('1Mi')) && quantity('1k').asInteger() == 1000",
        "quantity('1').add(quantity('500m')).compareTo(quantity('1500m')) == 0",
        "isQuantity('5M') && !isQuantity('x') && quantity('50k').sub(1).sign() == 1",
        "url('https://u@h:80/p?a=1').getHost() == 'h:80' && isURL('/path') && !isURL('nope')",
        "url('https://h:80/p?a=1').getPort() == '80' && url('https://h/?a=1').getQuery()['a'] == ['1']",
        "ip('127.0.0.1').isLoopback() && ip('::1').family() == 6 && !isIP('1.2.3')",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))",
        "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && cidr('10.0.0.0/8').prefixLength() == 8",
        "format.dns1123Label().validate('ok') == optional.none()",
        "format.named('dns1123Label').value().validate('Not').hasValue()",
        "isSemver('1.2.3') && semver('1.2.3-rc.1').isLessThan(semver('1.2.3'))",
        "duration('1h') > duration('30m') && duration('90s').getMinutes() == 1",
        "timestamp('2024-01-02T00:00:00Z') - timestamp('2024-01-01T00:00:00Z') == duration('24h')",
        "timestamp('2024-03-01T00:00:00Z').getMonth() == 2",
        "type(duration('1s')) == google.protobuf.Duration",
        "[[1, 2], [3]].flatten() == [1, 2, 3] && [3, 1].sort() == [1, 3] && [1, 2].slice(0, 1) == [1]",
        "self == oldSelf && self.l + [4] == [1, 2, 3, 4] && {'a': 1}.a == 1",
        "// a remark\n self.a == 5",
    ],
)
def test_these_are_true(expression: str) -> None:
    assert evaluate(expression) is True


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("self.zz", "no such key: zz"),
        ("9223372036854775807 + 1 > 0", "integer overflow"),
        ("1 / 0 == 0", "division by zero"),
        ("self.l[9] == 1", "index out of bounds"),
        ("self.a + 'x' == ''", "no such overload"),
        ("self.s.startsWith(1)", "no such overload"),
        ("self.a && true", "no such overload"),
        ("quantity('x') == quantity('y')", "quantities must match"),
        ("optional.none().value()", "dereference"),
        ("self.l.exists(x, x > 'a')", "no such overload"),
    ],
)
def test_these_have_no_value(expression: str, why: str) -> None:
    with pytest.raises(CelError, match=why):
        evaluate(expression)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("self.a >", "unexpected '<EOF>'"),
        ("self.a == 'x", "token recognition"),
        ("nobody.a == 1", "undeclared reference to 'nobody'"),
        ("self.a.nothing()", "undeclared reference to 'nothing'"),
        ("self.s.startsWith()", "no matching overload"),
        ("has(self)", "invalid argument to has"),
        ("self.in == 1", "reserved identifier"),
        ("self.l.all(1, true)", "undeclared reference"),
        ("99999999999999999999 > 1", "invalid int"),
        ("(" * 200 + "1" + ")" * 200, "nests deeper"),
        ("1" + "+1" * 3000, "nests too deep"),
    ],
)
def test_these_are_no_expressions(expression: str, why: str) -> None:
    with pytest.raises(CelSyntaxError, match=why):
        evaluate(expression)


def test_what_an_evaluation_costs_is_bounded() -> None:
    many = list(range(2000))
    with pytest.raises(CostError):
        evaluate("self.all(x, self.all(y, self.all(z, x + y + z >= 0)))", self=many)
    with pytest.raises(CostError):
        evaluate("self.all(x, self.exists(y, y == x) || true)", self=many)
    assert evaluate("self.all(x, x >= 0)", self=many)


def test_a_pattern_takes_no_longer_than_its_text() -> None:
    # By an engine that backtracks this would take years.
    assert not evaluate("text.matches('(a+)+$')", text="a" * 10_000 + "b")


def test_the_language_is_not_loaded_by_the_server() -> None:
    check = (
        "import sys, wherry.apiserver.server;"
        "sys.exit(any(name.startswith('wherry.objects.cel') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
