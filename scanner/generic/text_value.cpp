#include "scanner/generic/text_value.hpp"

#include "scanner/core/words.hpp"
#include "scanner/generic/executables.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace hubgate {

namespace {

constexpr std::size_t k_shortest_payload = 16; ///< no pickle that calls something is shorter
constexpr std::size_t k_shortest_encoded = 24;

// One thing that only code says: `first` at a word boundary, then `second` (if any) within
// `within` bytes.
struct Pattern {
  std::string_view first;
  std::string_view second;
  std::size_t within;
  std::string_view what;
};

constexpr std::array<Pattern, 31> k_patterns{{
    {"/dev/tcp/", "", 0, "a reverse shell"},
    {"bash -i", "", 0, "an interactive shell"},
    {"sh -i", "", 0, "an interactive shell"},
    {"nc -e", "", 0, "a reverse shell"},
    {"mkfifo /tmp", "", 0, "a reverse shell"},
    {"curl ", "| sh", 300, "a download piped into a shell"},
    {"curl ", "|sh", 300, "a download piped into a shell"},
    {"curl ", "| bash", 300, "a download piped into a shell"},
    {"curl ", "|bash", 300, "a download piped into a shell"},
    {"wget ", "| sh", 300, "a download piped into a shell"},
    {"wget ", "|sh", 300, "a download piped into a shell"},
    {"wget ", "| bash", 300, "a download piped into a shell"},
    {"wget ", "|bash", 300, "a download piped into a shell"},
    {"base64 -d", "", 0, "a decoded shell command"},
    {"powershell", " -e", 80, "an encoded PowerShell command"},
    {"powershell", "-nop", 80, "a PowerShell command"},
    {"powershell", "iex", 200, "a PowerShell command"},
    {"powershell", "downloadstring", 300, "a PowerShell download"},
    {"cmd.exe /c", "", 0, "a Windows command"},
    {"certutil", "-urlcache", 80, "a Windows download"},
    {"mshta ", "http", 40, "a Windows download"},
    {"<script", ">", 200, "an HTML script"},
    {"javascript:", "(", 200, "a script address"},
    {"os.system(", "", 0, "Python that starts a process"},
    {"os.popen(", "", 0, "Python that starts a process"},
    {"subprocess.", "(", 20, "Python that starts a process"},
    {"pty.spawn(", "", 0, "Python that starts a shell"},
    {"__import__(", "", 0, "Python that imports by name"},
    {"__subclasses__", "", 0, "Python that walks the class graph"},
    {"exec(", "", 0, "Python that runs text"},
    {"eval(", "", 0, "code that runs text"},
}};

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool at_boundary(std::string_view text, std::size_t at, std::string_view word) {
  if (at == 0 || !is_word(word[0])) return true;
  const char before = text[at - 1];
  // model.eval() is a method of the speaker's own; __builtins__.eval() is found by its argument.
  if (before == '.' && word.ends_with('(')) return false;
  return !is_word(before);
}

// eval() without an argument, and "exec(2)" in prose, run nothing.
bool calls_something(std::string_view text, std::size_t after) {
  if (after >= text.size()) return false;
  const char c = text[after];
  return c != ')' && !(c >= '0' && c <= '9');
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return -1;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (lower_ascii(c) >= 'a' && lower_ascii(c) <= 'f') return lower_ascii(c) - 'a' + 10;
  return -1;
}

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

// The bytes that the whole text stands for, or nothing. Line breaks are skipped as decoders do.
std::optional<std::vector<std::uint8_t>> decode(std::string_view text, int (*value_of)(char),
                                                unsigned bits) {
  std::vector<std::uint8_t> out;
  out.reserve(text.size() * bits / 8 + 1);
  std::uint32_t buffer = 0;
  unsigned filled = 0;
  bool padded = false;
  for (const char c: text) {
    if (is_space(c)) continue;
    if (c == '=' && bits == 6) {
      padded = true;
      continue;
    }
    const int value = value_of(c);
    if (value < 0 || padded) return std::nullopt;
    buffer = (buffer << bits) | static_cast<std::uint32_t>(value);
    filled += bits;
    if (filled < 8) continue;
    filled -= 8;
    out.push_back(static_cast<std::uint8_t>(buffer >> filled));
  }
  return out;
}

// No text holds a program.
void report_executable(Session& session, std::string_view name, std::string_view how,
                       MemorySource& source, std::uint64_t offset) {
  const auto program = find_executable(source, 0, source.wait_end());
  if (!program || !program->complete) return;
  session.find(k_rule_hidden_executable, offset, 0,
               std::string(name) + " holds " + program->what + (how.empty() ? "" : " in ") +
                   std::string(how));
}

void scan_decoded(Session& session, std::string_view name, std::string_view how,
                  const std::vector<std::uint8_t>& bytes, std::uint64_t offset) {
  if (bytes.size() < k_shortest_payload) return;
  MemorySource source(bytes);
  report_executable(session, name, how, source, offset);
  session.embedded(std::string(name) + "!" + std::string(how), source);
}

} // namespace

std::optional<ScriptHit> find_script(std::string_view text) {
  if (text.starts_with("#!/") || text.starts_with("#! /"))
    return ScriptHit{0, std::min<std::size_t>(text.size(), 80),
                     "a script with an interpreter line"};
  static const WordStarts starts = [] {
    WordStarts made;
    for (const Pattern& pattern: k_patterns)
      made.add(pattern.first);
    return made;
  }();
  for (std::size_t at = starts.next(text, 0); at != text.npos; at = starts.next(text, at + 1)) {
    for (const Pattern& pattern: k_patterns) {
      if (!word_at(text, at, pattern.first)) continue;
      if (!at_boundary(text, at, pattern.first)) continue;
      const std::size_t after = at + pattern.first.size();
      if (pattern.first.ends_with('(') && !calls_something(text, after)) continue;
      if (pattern.second.empty())
        return ScriptHit{at, std::min(text.size() - at, pattern.first.size() + 120), pattern.what};
      const std::size_t limit = std::min(text.size(), after + pattern.within);
      for (std::size_t i = after; i < limit; ++i)
        if (word_at(text, i, pattern.second))
          return ScriptHit{at, i + pattern.second.size() - at, pattern.what};
    }
  }
  return std::nullopt;
}

void scan_text_value(Session& session, std::string_view name, std::string_view value,
                     std::uint64_t offset) {
  if (const auto hit = find_script(value)) {
    session.find(k_rule_embedded_script, offset, value.size(),
                 std::string(name) + " holds " + std::string(hit->what) + ": " +
                     std::string(value.substr(hit->offset, hit->length)));
  } else if (const std::size_t url = std::min(value.find("http://"), value.find("https://"));
             url != std::string_view::npos) {
    session.find(k_rule_embedded_url, offset, value.size(),
                 std::string(name) + ": " + std::string(value.substr(url, 200)));
  }
  if (value.size() < k_shortest_payload) return;
  MemorySource source(as_bytes(value));
  report_executable(session, name, "", source, offset);
  session.embedded(name, source);
  if (value.size() < k_shortest_encoded) return;
  if (const auto bytes = decode(value, hex_value, 4))
    scan_decoded(session, name, "hex", *bytes, offset);
  else if (const auto decoded = decode(value, base64_value, 6))
    scan_decoded(session, name, "base64", *decoded, offset);
}

} // namespace hubgate
