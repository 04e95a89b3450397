// Ollama's Modelfile (https://github.com/ollama/ollama/blob/main/docs/modelfile.md): instructions,
// one a line, whose texts may be quoted over several lines.
#include "scanner/code/jinja/jinja.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace hubgate {
namespace {

constexpr std::string_view k_condition =
    "Modelfile|Modelfile.*|*.Modelfile|*.modelfile|*_Modelfile|*-Modelfile";
constexpr std::size_t k_max_file = std::size_t{4} << 20;

constexpr std::array<Rule, 2> k_rules{{
    {"modelfile-path", "traversal", Severity::suspicious, Reach::load, "CWE-22", "AML.T0010.003",
     "GGF-013",
     "the Modelfile takes weights from outside of its folder, so building it packs a file of "
     "whoever builds it"},
    {"modelfile-address", "reference", Severity::suspicious, Reach::load, "CWE-829",
     "AML.T0010.003", "GGF-013", "the Modelfile takes weights from an address on the network"},
}};

const Rule& k_path = k_rules[0];
const Rule& k_address = k_rules[1];

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c: out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  return out;
}

struct Instruction {
  std::string name;
  std::string text;
  std::size_t offset;
};

bool is_instruction(std::string_view word) {
  constexpr std::array<std::string_view, 9> k_names{"FROM",    "PARAMETER", "TEMPLATE",
                                                    "SYSTEM",  "ADAPTER",   "LICENSE",
                                                    "MESSAGE", "REQUIRES",  "RENDERER"};
  return std::find(k_names.begin(), k_names.end(), word) != k_names.end();
}

// The instruction that begins at `at`, which moves behind it; an empty name for a line that is
// none.
Instruction next(std::string_view text, std::size_t& at) {
  const std::size_t line_end = std::min(text.find('\n', at), text.size());
  std::string_view line = text.substr(at, line_end - at);
  Instruction out{{}, {}, at};
  at = line_end + 1;
  const std::size_t begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos || line[begin] == '#') return out;
  line.remove_prefix(begin);
  const std::size_t blank = std::min(line.find_first_of(" \t"), line.size());
  out.name = upper(line.substr(0, blank));
  std::string_view value = line.substr(std::min(line.size(), blank + 1));
  if (const std::size_t quote = value.find("\"\"\""); quote != std::string_view::npos) {
    const std::size_t inner = static_cast<std::size_t>(value.data() - text.data()) + quote + 3;
    const std::size_t close = text.find("\"\"\"", inner);
    out.text =
        text.substr(inner, close == std::string_view::npos ? text.size() - inner : close - inner);
    const std::size_t behind =
        close == std::string_view::npos ? text.size() : text.find('\n', close);
    at = behind == std::string_view::npos ? text.size() : behind + 1;
  } else {
    while (!value.empty() && (value.back() == '\r' || value.back() == ' '))
      value.remove_suffix(1);
    out.text = value;
  }
  return out;
}

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  for (std::size_t at = 0; at < head.size();) {
    const Instruction one = next(head, at);
    if (!one.name.empty()) return is_instruction(one.name) ? Claim::maybe : Claim::no;
  }
  return Claim::no;
}

void judge_source(Session& session, const Instruction& one) {
  const std::string& path = one.text;
  if (path.find("://") != std::string::npos) {
    session.refer("url", one.offset, path, k_condition);
    session.find(k_address, one.offset, path.size(), one.name + " " + path,
                 {.condition = k_condition});
    return;
  }
  const bool outside = path.starts_with("/") || path.starts_with("~") || path.starts_with("\\") ||
                       path.find("..") != std::string::npos ||
                       (path.size() > 2 && path[1] == ':' && (path[2] == '\\' || path[2] == '/'));
  if (outside)
    session.find(k_path, one.offset, path.size(), one.name + " " + path,
                 {.condition = k_condition});
  else if (path.starts_with("./") || path.ends_with(".gguf") || path.ends_with(".safetensors") ||
           path.ends_with(".bin"))
    session.refer("file", one.offset, path, k_condition);
}

Reading scan(Source& source, Session& session) {
  std::string text;
  while (text.size() <= k_max_file) {
    const Bytes piece = source.view(text.size(), std::size_t{64} << 10);
    if (piece.empty()) break;
    text += as_text(piece);
  }
  // A Dockerfile begins alike, and says more.
  std::vector<Instruction> instructions;
  for (std::size_t at = 0; at < text.size();) {
    Instruction one = next(text, at);
    if (one.name.empty()) continue;
    // Python begins with "from" as well.
    const bool python = one.name == "FROM" && one.text.find(" import ") != std::string::npos;
    if (!is_instruction(one.name) || python) return Reading::none;
    instructions.push_back(std::move(one));
  }
  if (std::none_of(instructions.begin(), instructions.end(),
                   [](const Instruction& one) { return one.name == "FROM"; }))
    return Reading::none;
  for (const Instruction& one: instructions) {
    if (one.name == "FROM" || one.name == "ADAPTER")
      judge_source(session, one);
    else if (one.name == "SYSTEM" || one.name == "TEMPLATE" || one.name == "MESSAGE")
      jinja::judge_prompt(session, one.text,
                          {.name = one.name, .offset = one.offset, .condition = k_condition});
  }
  if (text.size() > k_max_file)
    session.gap(Reason::budget, Reach::load, k_max_file, "a Modelfile of more than 4 MiB",
                k_condition);
  session.release(text.size() - std::min<std::uint64_t>(text.size(), k_held_tail));
  return Reading::valid;
}

} // namespace

extern const Format format_modelfile;
const Format format_modelfile{.name = "modelfile",
                              .family = "text",
                              .probe = probe,
                              .scan = scan,
                              .rules = k_rules,
                              .weak = true};

} // namespace hubgate
