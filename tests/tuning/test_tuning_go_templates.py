"""Go's template language, as far as trials of v1alpha3 use it."""

from typing import Any

import pytest

from wherry.tuning.go_templates.rendering import GoTemplateError, render

DATA = {
    "Experiment": "e",
    "Trial": "e-1",
    "NameSpace": "team",
    "HyperParameters": [{"Name": "--lr", "Value": "0.1"}, {"Name": "--opt", "Value": "adam"}],
}


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{.Trial}} in {{ .NameSpace }}", "e-1 in team"),
        (
            "{{with .HyperParameters}}{{range .}}{{.Name}}={{.Value}} {{end}}{{end}}",
            "--lr=0.1 --opt=adam ",
        ),
        (
            "a\n  {{- range .HyperParameters}}\n  - {{.Name}}\n  {{- end}}\nb",
            "a\n  - --lr\n  - --opt\nb",
        ),
        ("x {{- /* said\nby */ -}} y", "xy"),
        ("{{range $i, $p := .HyperParameters}}{{if $i}},{{end}}{{$p.Value}}{{end}}", "0.1,adam"),
        ("{{range $i, $p := .HyperParameters}}{{$.Trial}}{{$i}}{{end}}", "e-10e-11"),
        ("{{if eq .Trial `e-2` `e-1`}}yes{{else}}no{{end}}", "yes"),
        ('{{if not .Trial}}a{{else if and .Trial (eq .NameSpace "x")}}b{{else}}c{{end}}', "c"),
        ('{{with .Trial | printf "%s-%q-%d" .NameSpace}}{{.}}{{end}}', 'team-"e-1"-%!d(MISSING)'),
        ('{{printf "%05.2f|%-4s|%3d|%v" 3.14159 "a" 7 true}}', "03.14|a   |  7|true"),
        ("{{(index .HyperParameters 1).Name}} {{len .HyperParameters}}", "--opt 2"),
        ("{{$x := 1}}{{with $x := .Trial}}{{$x}}{{end}}{{$x}}", "e-11"),
        ("{{$x := 1}}{{range .HyperParameters}}{{$x = .Name}}{{end}}{{$x}}", "--opt"),
        ("{{range index .HyperParameters 0}}{{.}} {{end}}", "--lr 0.1 "),
        ('{{"}}"}}{{`{{`}}', "}}{{"),
        ('{{lt 1 2}} {{ge 1 2}} {{or "" "b"}} {{ne .Trial "x"}}', "true false b true"),
        ("{{with .Nothing}}{{else}}-{{end}}".replace(".Nothing", '""'), "-"),
        ("{{range $p := .HyperParameters}}{{else}}none{{end}}done", "done"),
    ],
)
def test_what_a_template_gives(template, wanted):
    assert render(template, DATA) == wanted


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{.Nope}}", "no field .Nope; there are Experiment, HyperParameters, NameSpace, Trial"),
        ("a\n{{if .Trial}}", "line 2: {{if}} has no {{end}}"),
        ("{{end}}", "nothing that it ends"),
        ("{{else}}", "nothing that it belongs to"),
        ("{{ .Trial", "{{ has no }}"),
        ("{{shout .Trial}}", 'no function "shout"'),
        ("{{.Trial 3}}", "is no function"),
        ("{{$x}}", "no variable $x"),
        ('{{define "x"}}{{end}}', "define is not supported"),
        ("{{range .Trial}}{{end}}", "cannot go over"),
        ("{{(.Trial}}", "( has no )"),
        ("{{}}", "is empty"),
        ("{{index .HyperParameters 7}}", "index does not take"),
        ("{{printf .HyperParameters}}", "printf does not take"),
        ("x" * (1 << 20) + "y", "want at most"),
    ],
)
def test_what_is_wrong_with_a_template_is_told(template, told):
    with pytest.raises(GoTemplateError) as error:
        render(template, DATA)
    assert told in str(error.value)


def test_work_and_length_are_bounded():
    many: dict[str, Any] = {"L": [{"L": [{}] * 1000}] * 1000}
    with pytest.raises(GoTemplateError, match="steps"):
        render("{{range .L}}{{range .L}}x{{end}}{{end}}", many)
    with pytest.raises(GoTemplateError, match="characters"):
        render("{{range .L}}" + "x" * 2000 + "{{end}}", many)
    with pytest.raises(GoTemplateError, match="deep"):
        render("{{if true}}" * 200 + "{{end}}" * 200, many)
