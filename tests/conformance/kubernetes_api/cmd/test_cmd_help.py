"""`kubectl help`, in the languages it knows."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")
CONFIG = {
    "de_DE": "Verändere kubeconfig Dateien",
    "en_US": "Modify kubeconfig files",
    "fr_FR": "Modifier des fichiers kubeconfig",
    "it_IT": "Modifica i file kubeconfig",
    "ja_JP": "kubeconfigを変更する",
    "ko_KR": "kubeconfig 파일을 수정합니다",
    "pt_BR": "Edita o arquivo kubeconfig",
    "zh_CN": "修改 kubeconfig 文件",
    "zh_TW": "修改 kubeconfig 檔案",
}
PARENTS = (
    "<command>",
    "apply <command>",
    "auth <command>",
    "certificate <command>",
    "cluster-info <command>",
    "config <command>",
    "create <command>",
    "create secret <command>",
    "create service <command>",
    "plugin <command>",
    "rollout <command>",
    "set <command>",
    "top <command>",
)


@case(name="help: run_kubectl_help_tests")
def test_help(cmd):
    # What it says is kubectl's own: that it says it with this server's kubeconfig is the point.
    assert CONFIG["en_US"] in cmd("help")
    for language, words in CONFIG.items():
        assert words in cmd("help", environment={"LANG": f"{language}.UTF8"})
    german = {"environment": {"LANG": "de_DE.UTF-8"}}
    assert "Mark node as schedulable." in cmd("uncordon", "--help")
    assert "Markiere Knoten als schedulable." in cmd("uncordon", "--help", **german)
    for parent in PARENTS:
        said = cmd(*parent.split()[:-1], "--help")
        assert f'Use "kubectl {parent} --help" for more information about a given command.' in said
