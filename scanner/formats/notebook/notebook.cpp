// Jupyter notebooks (nbformat 3 and 4): code of all cells as one unit of Python, shell lines and
// cells, outputs that a browser renders. A refinement of JSON. See README.md.
#include "scanner/code/python/analyse.hpp"
#include "scanner/code/python/cells.hpp"
#include "scanner/code/shell/report.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/json.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::size_t k_max_code = std::size_t{8} << 20;
constexpr std::size_t k_max_output = std::size_t{64} << 20;

constexpr std::array<Rule, 4> k_rules{{
    {"notebook-active-output", "code", Severity::malicious, Reach::load, "CWE-79", "AML.T0011.000",
     "DAT-018", "an output that runs code in the kernel or uses the server when it is shown"},
    {"notebook-script-output", "code", Severity::informational, Reach::load, "CWE-79", "",
     "DAT-018", "an output with script, which viewers run in notebooks that are trusted"},
    {"notebook-trusted", "code", Severity::informational, Reach::data, "", "", "DAT-018",
     "the notebook says of itself that it is trusted"},
    {"notebook-install", "reference", Severity::suspicious, Reach::load, "CWE-494", "AML.T0010.001",
     "DAT-018", "a cell installs a package straight from an address"},
}};

const Rule& k_active = k_rules[0];
const Rule& k_scripted = k_rules[1];
const Rule& k_trusted = k_rules[2];
const Rule& k_install = k_rules[3];

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  const std::size_t first = head.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  return first != std::string_view::npos && head[first] == '{' ? Claim::maybe : Claim::no;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c: out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return out;
}

// Script that reaches out of its output: into the kernel, or the server's own interface.
bool is_active(std::string_view low) {
  for (const std::string_view word:
       {"notebook.kernel.execute", "jupyter.notebook.kernel", "kernel.requestexecute",
        "/api/terminals", "/api/contents", "/api/kernels", "_xsrf"})
    if (low.find(word) != std::string_view::npos) return true;
  return false;
}

class Notebook {
public:
  Notebook(Source& source, Session& session)
      : reader_(source, 0, source.wait_end(), {.dialect = JsonOptions::Dialect::python}),
        session_(session) {}

  Reading read();

private:
  bool cells(bool worksheets);
  bool cell();
  bool outputs();
  bool text(std::string& out, std::size_t max);
  bool value(unsigned depth);
  void code_cell(const std::string& source, std::uint64_t offset);
  void shell_line(std::string_view line, std::uint64_t offset);
  void judge_output(const std::string& text, std::uint64_t offset);
  void judge_script(const std::string& text, std::uint64_t offset);
  void written_file(std::string_view text, std::uint64_t offset);

  JsonReader reader_;
  Session& session_;
  std::string code_; ///< of all cells, magics taken out
  std::size_t cells_ = 0;
  std::uint64_t first_code_ = 0;
  bool is_notebook_ = false; ///< has the key nbformat
  bool has_code_ = false;
  bool cut_ = false;
};

// A string, or a list of strings: lines.
bool Notebook::text(std::string& out, std::size_t max) {
  const auto add = [&] {
    if (out.size() + reader_.text().size() <= max)
      out += reader_.text();
    else
      cut_ = true;
  };
  JsonEvent event = reader_.next();
  if (event == JsonEvent::string) return add(), true;
  if (event != JsonEvent::array_begin) {
    if (event == JsonEvent::object_begin) {
      const std::size_t depth = reader_.depth();
      while (event != JsonEvent::error && event != JsonEvent::end &&
             !(event == JsonEvent::object_end && reader_.depth() < depth))
        event = reader_.next();
    }
    return event != JsonEvent::error;
  }
  const std::size_t depth = reader_.depth();
  for (event = reader_.next(); event != JsonEvent::error && event != JsonEvent::end;
       event = reader_.next()) {
    if (event == JsonEvent::string) add();
    if (event == JsonEvent::array_end && reader_.depth() < depth) return true;
  }
  return false;
}

void Notebook::judge_output(const std::string& text, std::uint64_t offset) {
  const std::string low = lower(text);
  const bool script =
      low.find("<script") != std::string::npos || low.find("<iframe") != std::string::npos ||
      low.find("onerror=") != std::string::npos || low.find("javascript:") != std::string::npos;
  const bool active = is_active(low);
  if (active)
    session_.find(k_active, offset, 0, std::string_view(text).substr(0, 300));
  else if (script)
    session_.find(k_scripted, offset, 0, std::string_view(text).substr(0, 120));
}

void Notebook::judge_script(const std::string& text, std::uint64_t offset) {
  const bool active = is_active(lower(text));
  session_.find(active ? k_active : k_scripted, offset, 0,
                std::string_view(text).substr(0, active ? 300 : 120));
}

// {"output_type": …, "data": {"text/html": […]}} and the older {"html": …}
bool Notebook::outputs() {
  if (reader_.next() != JsonEvent::array_begin) return reader_.failure() == JsonFailure::none;
  const std::size_t depth = reader_.depth();
  for (;;) {
    const JsonEvent event = reader_.next();
    if (event == JsonEvent::error || event == JsonEvent::end) return false;
    if (event == JsonEvent::array_end && reader_.depth() < depth) return true;
    if (event != JsonEvent::key) continue;
    const std::string key = reader_.text();
    const std::uint64_t offset = reader_.offset();
    const bool markup = key == "text/html" || key == "html" || key == "image/svg+xml" ||
                        key == "application/javascript" || key == "javascript";
    if (!markup) continue;
    std::string body;
    if (!text(body, k_max_output)) return false;
    if (key.ends_with("javascript"))
      judge_script(body, offset);
    else
      judge_output(body, offset);
  }
}

void Notebook::shell_line(std::string_view line, std::uint64_t offset) {
  const std::string title = "cell " + std::to_string(cells_);
  if (session_.showing()) session_.show("command", offset, title + ": " + std::string(line));
  shell::report_shell(line, {.offset = offset, .verbatim = false, .title = title}, session_);
  const std::string low = lower(line);
  const bool installs =
      low.find("pip install") != std::string::npos || low.find("pip3 install") != std::string::npos;
  const bool plain =
      low.find("http://") != std::string::npos || low.find("--trusted-host") != std::string::npos;
  if (installs && plain) session_.find(k_install, offset, 0, title + ": " + std::string(line));
}

void Notebook::code_cell(const std::string& source, std::uint64_t offset) {
  python::CellParts parts;
  parts.command = [&](std::string_view text) { shell_line(text, offset); };
  parts.other = [&](std::string_view kind, std::string_view text) {
    if (kind == "html" || kind == "svg" || kind == "HTML" || kind == "SVG")
      judge_output(std::string(text), offset);
    else if (kind == "javascript" || kind == "js")
      judge_script(std::string(text), offset);
    else if (kind == "writefile" || kind == "file")
      written_file(text, offset);
    else if (kind == "perl" || kind == "ruby")
      shell_line(text, offset);
  };
  python::append_cell(source, code_, parts);
}

// "writefile NAME" and what the cell writes there: a script is one already.
void Notebook::written_file(std::string_view text, std::uint64_t offset) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view name = text.substr(0, end);
  while (name.ends_with(' ') || name.ends_with('\r'))
    name.remove_suffix(1);
  const std::string_view body = text.substr(end);
  if (name.ends_with(".sh")) {
    shell_line(body, offset);
  } else if (name.ends_with(".py")) {
    const std::string title = "file that cell " + std::to_string(cells_) + " writes";
    python::Unit unit;
    unit.kind = python::UnitKind::cell;
    unit.offset = offset;
    unit.verbatim = false;
    unit.title = title;
    python::analyse_python(body, unit, session_);
  }
}

bool Notebook::cell() {
  ++cells_;
  const std::size_t depth = reader_.depth();
  std::string kind;
  std::string source;
  std::uint64_t offset = reader_.offset();
  for (;;) {
    const JsonEvent event = reader_.next();
    if (event == JsonEvent::error || event == JsonEvent::end) return false;
    if (event == JsonEvent::object_end && reader_.depth() < depth) break;
    if (event != JsonEvent::key) continue;
    const std::string key = reader_.text();
    if (key == "cell_type") {
      if (!text(kind, 64)) return false;
    } else if (key == "source" || key == "input") {
      offset = reader_.offset();
      if (!text(source, k_max_code)) return false;
    } else if (key == "outputs") {
      if (!outputs()) return false;
    } else if (!reader_.skip_value()) {
      return false;
    }
  }
  has_code_ = has_code_ || kind == "code";
  if (session_.showing()) {
    session_.show("cell", offset, "# cell " + std::to_string(cells_) + " (" + kind + ")");
    if (kind == "code") session_.show("cell", offset, source);
  }
  if (kind == "code" && code_.size() + source.size() <= k_max_code) {
    if (code_.empty()) first_code_ = offset;
    code_cell(source, offset);
  } else if (kind == "code") {
    cut_ = true;
  } else if (kind == "markdown") {
    const std::string low = lower(source);
    if (is_active(low) && low.find("<script") != std::string::npos)
      session_.find(k_active, offset, 0, std::string_view(source).substr(0, 300));
  }
  return true;
}

bool Notebook::cells(bool worksheets) {
  if (reader_.next() != JsonEvent::array_begin) return true;
  const std::size_t depth = reader_.depth();
  for (;;) {
    const JsonEvent event = reader_.next();
    if (event == JsonEvent::error || event == JsonEvent::end) return false;
    if (event == JsonEvent::array_end && reader_.depth() < depth) return true;
    if (worksheets && event == JsonEvent::key && reader_.text() == "cells") {
      if (!cells(false)) return false;
    } else if (!worksheets && event == JsonEvent::object_begin) {
      if (!cell()) return false;
    }
  }
}

Reading Notebook::read() {
  if (reader_.next() != JsonEvent::object_begin) return Reading::none;
  bool has_cells = false;
  bool trusted = false;
  bool good = true;
  for (;;) {
    const JsonEvent event = reader_.next();
    if (event == JsonEvent::error) good = false;
    if (event == JsonEvent::error || event == JsonEvent::end) break;
    if (event != JsonEvent::key) continue;
    if (reader_.depth() == 1 && (reader_.text() == "cells" || reader_.text() == "worksheets")) {
      has_cells = true;
      if (!cells(reader_.text() == "worksheets")) {
        good = false;
        break;
      }
    } else if (reader_.depth() == 1 && reader_.text() == "nbformat") {
      is_notebook_ = true;
      if (!reader_.skip_value()) break;
    } else if (reader_.text() == "trusted") {
      trusted = reader_.next() == JsonEvent::boolean && reader_.text() == "true";
    }
  }
  if (!has_cells || (!is_notebook_ && !has_code_)) return Reading::none;
  if (trusted) session_.find(k_trusted, 0, 0, "\"trusted\": true");
  python::Unit unit;
  unit.kind = python::UnitKind::cell;
  unit.offset = first_code_;
  unit.verbatim = false;
  unit.title = "cells";
  python::analyse_python(code_, unit, session_);
  if (cut_) session_.gap(Reason::budget, Reach::load, 0, "more code or output than is analysed");
  if (good) return Reading::valid;
  session_.gap(Reason::malformed, Reach::load, reader_.position(), reader_.error());
  return Reading::broken;
}

Reading scan(Source& source, Session& session) {
  Notebook notebook(source, session);
  return notebook.read();
}

} // namespace

extern const Format format_notebook;
const Format format_notebook{
    .name = "notebook", .family = "json", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
