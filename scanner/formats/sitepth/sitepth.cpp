// Path configuration files of CPython's site module. A line that begins with "import" is executed
// when the interpreter starts; everything else is a directory. See README.md.
#include "scanner/code/python/analyse.hpp"
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::size_t k_max_text = std::size_t{1} << 20;
constexpr std::string_view k_names = "*.pth";

constexpr std::array<Rule, 2> k_rules{{
    {"pth-import", "code", Severity::malicious, Reach::load, "CWE-506", "AML.T0011.000", "CFG-020",
     "a line that every start of Python executes"},
    {"pth-known-import", "code", Severity::informational, Reach::load, "", "", "CFG-020",
     "a line that every start of Python executes, as well-known packages install it"},
}};

// What setuptools, virtualenv and coverage write.
bool is_known(std::string_view line) {
  static constexpr std::array<std::string_view, 7> k_known{
      "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'local') == "
      "'local'; enabled and __import__('_distutils_hack').add_shim();",
      "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'local') == "
      "'local'; enabled and __import__('_distutils_hack');",
      "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'stdlib') == "
      "'local'; enabled and __import__('_distutils_hack').add_shim();",
      "import _virtualenv",
      "import coverage; coverage.process_startup()",
      "import _distutils_hack; _distutils_hack.add_shim()",
      "import pywin32_bootstrap"};
  while (!line.empty() && (line.back() == ' ' || line.back() == ';' || line.back() == '\r'))
    line.remove_suffix(1);
  for (std::string_view known: k_known) {
    while (known.back() == ';')
      known.remove_suffix(1);
    if (line == known) return true;
  }
  // import __editable___x_finder; __editable___x_finder.install()
  return line.starts_with("import __editable___") && line.ends_with("_finder.install()") &&
         std::count(line.begin(), line.end(), ';') == 1;
}

bool is_import(std::string_view line) {
  return line.starts_with("import ") || line.starts_with("import\t");
}

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  return !head.empty() && head.find('\0') == std::string_view::npos ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  std::string text;
  {
    const Bytes bytes = source.view(0, k_max_text);
    if (!holds(as_text(bytes), "import")) return Reading::none;
    text = as_text(bytes);
  }
  const bool marked = text.starts_with("\xef\xbb\xbf");
  bool found = false;
  for (std::size_t at = marked ? 3 : 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of("\r\n", at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    if (is_import(line)) {
      found = true;
      session.find(k_rules[is_known(line) ? 1 : 0], at, line.size(), line, {.condition = k_names});
      python::Unit unit;
      unit.offset = at;
      unit.condition = k_names;
      python::analyse_python(line, unit, session);
    }
    at = end + 1;
  }
  if (text.size() == k_max_text && !source.view(k_max_text, 1).empty() && found)
    session.gap(Reason::budget, Reach::load, k_max_text, "a longer file than is analysed", k_names);
  return found ? Reading::valid : Reading::none;
}

} // namespace

extern const Format format_sitepth;
const Format format_sitepth{.name = "sitepth",
                            .family = "text",
                            .probe = probe,
                            .scan = scan,
                            .rules = k_rules,
                            .weak = true};

} // namespace hubgate
