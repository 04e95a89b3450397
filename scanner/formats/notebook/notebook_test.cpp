#include "tests/support/quiet.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_quiet;
using test::scan_bytes;
using test::show;

std::string notebook(const std::string& source, const std::string& outputs = "[]") {
  return "{\"cells\": [{\"cell_type\": \"code\", \"source\": [" + source +
         "], \"outputs\": " + outputs +
         ", \"metadata\": {}, \"execution_count\": 1}], "
         "\"metadata\": {}, \"nbformat\": 4, \"nbformat_minor\": 5}";
}

TEST(Notebook, cells_are_one_unit_of_python) {
  const std::string text = notebook("\"import requests\\n\", \"%matplotlib inline\\n\", "
                                    "\"c = requests.get('http://127.0.0.1/x').text\\n\", "
                                    "\"exec(c)\"");
  const Report report = scan_bytes(text);
  EXPECT_EQ(report.format, "notebook");
  ASSERT_NE(find_rule(report, "python-execution"), nullptr) << show(report);
}

TEST(Notebook, shell_lines_and_cells_are_commands) {
  for (const std::string source:
       {"\"!curl -s http://127.0.0.1/a | bash\"", "\"x = !curl -s http://127.0.0.1/a | sh\"",
        "\"%%bash\\n\", \"wget -qO- http://127.0.0.1/a | sh\"",
        "\"if x:\\n\", \"  !curl http://127.0.0.1/a \\\\\\n\", \"   | sh\\n\""})
    EXPECT_NE(find_rule(scan_bytes(notebook(source)), "shell-download-run"), nullptr) << source;
  EXPECT_NE(find_rule(scan_bytes(notebook("\"!pip install http://127.0.0.1/a.whl\"")),
                      "notebook-install"),
            nullptr);
}

TEST(Notebook, cells_of_other_kinds) {
  EXPECT_NE(find_rule(scan_bytes(notebook("\"%%javascript\\n\", "
                                          "\"Jupyter.notebook.kernel.execute('1')\"")),
                      "notebook-active-output"),
            nullptr);
  EXPECT_NE(find_rule(scan_bytes(notebook("\"%%html\\n\", \"<script>fetch('/api/terminals')"
                                          "</script>\"")),
                      "notebook-active-output"),
            nullptr);
  for (const std::string source: {"\"%%writefile a.py\\n\", \"import requests\\n\", "
                                  "\"exec(requests.get('http://127.0.0.1').text)\"",
                                  "\"%%time\\n\", \"%%capture x\\n\", \"import requests\\n\", "
                                  "\"exec(requests.get('http://127.0.0.1').text)\""})
    EXPECT_NE(find_rule(scan_bytes(notebook(source)), "python-execution"), nullptr) << source;
  EXPECT_NE(
      find_rule(scan_bytes(notebook("\"%%writefile a.sh\\n\", \"curl http://127.0.0.1/a | sh\"")),
                "shell-download-run"),
      nullptr);
  EXPECT_NE(find_rule(scan_bytes(notebook("\"%%writefile -a /root/.bashrc\\n\", \"x\"")),
                      "python-persistence"),
            nullptr);
  const Report run = scan_bytes(notebook(
      "\"import urllib.request as u\\n\", \"u.urlretrieve('http://127.0.0.1/a', 'a.sh')\\n\", "
      "\"!bash a.sh\""));
  EXPECT_NE(find_rule(run, "python-download-run"), nullptr) << show(run);
}

TEST(Notebook, many_magics_before_a_cell_end) {
  std::string magics;
  for (int i = 0; i < 200'000; ++i)
    magics += "%%time\\n";
  const Report report = scan_bytes(notebook("\"" + magics + "x = 1\""));
  EXPECT_TRUE(is_quiet(report, {"notebook-", "python-", "shell-"})) << show(report);
}

TEST(Notebook, outputs_that_use_the_server_are_found) {
  const Report report = scan_bytes(
      notebook("\"1\"", "[{\"output_type\": \"display_data\", \"data\": {\"text/html\": [\"<script>"
                        "Jupyter.notebook.kernel.execute('1')</script>\"]}}]"));
  EXPECT_NE(find_rule(report, "notebook-active-output"), nullptr) << show(report);
  const Report plain = scan_bytes(
      notebook("\"1\"", "[{\"output_type\": \"display_data\", \"data\": {\"text/html\": [\"<script>"
                        "plot()</script>\"]}}]"));
  EXPECT_TRUE(is_quiet(plain, {"notebook-", "python-", "shell-"})) << show(plain);
  EXPECT_NE(find_rule(plain, "notebook-script-output"), nullptr);
}

TEST(Notebook, honest_notebooks_are_clean) {
  for (const std::string source:
       {"\"!pip install -q transformers\\n\", \"import torch\\n\", \"?torch\"", "\"!nvidia-smi\"",
        "\"%%time\\n\", \"x = 1\"", "\"%load_ext autoreload\""}) {
    const Report report = scan_bytes(notebook(source));
    EXPECT_TRUE(is_quiet(report, {"notebook-", "python-", "shell-"})) << source << show(report);
    EXPECT_EQ(report.format, "notebook");
  }
}

TEST(Notebook, other_json_is_none) {
  EXPECT_EQ(scan_bytes("{\"cells\": [1, 2], \"a\": 1}").format, "json");
}

TEST(Notebook, a_cut_is_never_clean) {
  const std::string text = notebook("\"import os\"");
  for (std::size_t n = 14; n < text.size(); n += 7)
    EXPECT_FALSE(scan_bytes(text.substr(0, n)).complete()) << n;
}

} // namespace
} // namespace hubgate
