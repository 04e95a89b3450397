// Scripts of POSIX shells, PowerShell, cmd and VBScript. A hypothesis of every text; what it finds
// holds under names that are run as scripts, and, for what no honest instructions contain, in
// texts for people. See README.md.
#include "scanner/code/shell/report.hpp"
#include "scanner/core/format.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::size_t k_step = std::size_t{256} << 10;
constexpr std::size_t k_max_text = std::size_t{8} << 20;

constexpr std::string_view k_scripts =
    "*.sh|*.bash|*.zsh|*.ksh|*.command|*.bat|*.cmd|*.ps1|*.psm1|*.psd1|*.vbs|*.vbe|*.wsf|*.hta|"
    "*.bashrc|*.zshrc|*.profile|*.desktop|*.service";
// Instructions, and recipes that run when a person says so: honest ones fetch installers.
constexpr std::string_view k_prose =
    "*.md|*.rst|*README*|*.txt|*.html|Makefile|GNUmakefile|*.mk|*Dockerfile|Dockerfile.*|"
    "*.dockerfile|Containerfile|Jenkinsfile|justfile|docker-compose*|compose.yml|compose.yaml";
// Programs in other languages: what their texts would do as commands.
constexpr std::string_view k_foreign =
    "*.R|*.r|*.jl|*.rb|*.pl|*.pm|*.php|*.lua|*.go|*.rs|*.java|*.kt|*.scala|*.groovy|Jenkinsfile|"
    "*.gradle|*.cs|*.c|*.cc|*.cpp|*.swift|*.tcl|*.cmake|CMakeLists.txt";
constexpr std::array<std::string_view, 12> k_starters{"system",  "exec",           "popen", "run(",
                                                      "Command", "ProcessBuilder", "spawn", "shell",
                                                      "sh '",    "sh \"",          "`",     "qx"};
constexpr std::size_t k_shortest = 12; ///< of a command worth a look

constexpr std::array<Rule, 1> k_own{{
    {"shell-script", "script", Severity::informational, Reach::load, "", "", "CFG-026",
     "a script that a person may start"},
}};

constexpr auto k_count = 13;
const std::array<Rule, k_count>& all_rules() {
  static const std::array<Rule, k_count> k_all = [] {
    std::array<Rule, k_count> out{};
    const auto shared = shell::shell_rules();
    std::copy(shared.begin(), shared.end(), out.begin());
    out.back() = k_own[0];
    return out;
  }();
  return k_all;
}

// UTF-16 with a byte order mark, which PowerShell and regedit write: its ASCII.
std::string narrowed(Bytes bytes) {
  const bool little = starts_with(bytes, "\xff\xfe");
  const bool big = starts_with(bytes, "\xfe\xff");
  if (!little && !big) return std::string(as_text(bytes));
  std::string out;
  for (std::size_t i = 2; i + 1 < bytes.size(); i += 2) {
    const std::uint8_t low = bytes[little ? i : i + 1];
    const std::uint8_t high = bytes[little ? i + 1 : i];
    out += high == 0 ? static_cast<char>(low) : '?';
  }
  return out;
}

Claim probe(const Probe& probe) {
  if (probe.head.empty()) return Claim::no;
  if (starts_with(probe.head, "\xff\xfe") || starts_with(probe.head, "\xfe\xff"))
    return Claim::maybe;
  return as_text(probe.head).find('\0') == std::string_view::npos ? Claim::maybe : Claim::no;
}

bool names_shell(std::string_view text) {
  if (!text.starts_with("#!")) return false;
  const std::string_view line = text.substr(0, text.find('\n'));
  return line.ends_with("sh") || line.find("sh ") != std::string_view::npos;
}

bool looks_like_batch(std::string_view text) {
  std::string head(text.substr(0, 64));
  std::transform(head.begin(), head.end(), head.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return head.starts_with("@echo off");
}

void show_lines(std::string_view text, Session& session) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    session.show("command", at, end == at ? " " : text.substr(at, end - at));
    at = end + 1;
  }
}

// Texts between quotation marks, one line each, in a program that starts others.
std::size_t report_foreign(std::string_view text, Session& session) {
  if (std::none_of(k_starters.begin(), k_starters.end(), [&](std::string_view word) {
        return text.find(word) != std::string_view::npos;
      }))
    return 0;
  std::size_t signs = 0;
  for (std::size_t at = text.find_first_of("'\"`"); at != std::string_view::npos;
       at = text.find_first_of("'\"`", at)) {
    const char quote = text[at];
    std::size_t end = ++at;
    while (end < text.size() && text[end] != quote && text[end] != '\n')
      end += text[end] == '\\' ? 2 : 1;
    if (end >= text.size()) break;
    if (text[end] == '\n') continue; // an apostrophe
    if (const std::string_view inner = text.substr(at, end - at);
        inner.size() >= k_shortest && shell::may_have_signs(inner))
      signs += shell::report_shell(
          inner, {.offset = at, .condition = k_foreign, .title = "a text of the program"}, session);
    at = end + 1;
  }
  return signs;
}

Reading scan(Source& source, Session& session) {
  std::string text;
  for (Bytes piece = source.some(0, k_step); !piece.empty();
       piece = source.some(text.size(), k_step)) {
    if (text.size() + piece.size() > k_max_text) {
      session.gap(Reason::budget, Reach::load, text.size(), "a longer script than is analysed",
                  k_scripts);
      return Reading::none;
    }
    text += as_text(piece);
  }
  text = narrowed(as_bytes(text));
  if (text.find('\0') != std::string::npos) return Reading::none;
  const bool script = names_shell(text) || looks_like_batch(text);
  if (script) {
    const std::string_view line = std::string_view(text).substr(0, text.find('\n'));
    session.find(k_own[0], 0, line.size(), line);
  }
  if (script && session.showing()) show_lines(text, session);
  if (!shell::may_have_signs(text)) return script ? Reading::valid : Reading::none;
  const std::size_t signs =
      shell::report_shell(text, {.condition = script ? std::string_view{} : k_scripts}, session);
  const std::size_t foreign = script ? 0 : report_foreign(text, session);
  if (signs == 0) return script || foreign > 0 ? Reading::valid : Reading::none;
  if (!script) shell::report_shell(text, {.condition = k_prose, .prose = true}, session);
  return Reading::valid;
}

} // namespace

extern const Format format_shell;
const Format format_shell{.name = "shell",
                          .family = "text",
                          .probe = probe,
                          .scan = scan,
                          .rules = all_rules(),
                          .weak = true};

} // namespace hubgate
