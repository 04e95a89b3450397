// JavaScript: scripts beside models that run in a browser or in Node, and those of pages. A
// hypothesis of every text; what it finds holds under the names of scripts and pages. See
// README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/core/words.hpp"
#include "scanner/formats/javascript/rules.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::size_t k_step = std::size_t{256} << 10;
constexpr std::size_t k_max_text = std::size_t{16} << 20;
constexpr std::size_t k_piece = std::size_t{48} << 10; ///< of a long line
constexpr std::size_t k_overlap = 1024;
constexpr std::size_t k_shown = 200;

constexpr std::string_view k_names = "*.js|*.mjs|*.cjs|*.jse|*.jsx|*.ts|*.mts|*.cts|*.tsx|*.wsf|*."
                                     "hta|*.html|*.htm|*.xhtml|*.svg|*.vue";

constexpr std::string_view k_atlas = "AML.T0011.000";
constexpr auto k_load = Reach::load;

// As rules.cpp has them; a test holds both against each other.
constexpr std::array<Rule, 8> k_rules{{
    {"behaviour-js-reverse-shell", "remote-control", Severity::malicious, k_load, "CWE-506",
     k_atlas, "CNT-005", "connects a socket with a shell"},
    {"behaviour-js-download-run", "execution", Severity::malicious, k_load, "CWE-494", k_atlas,
     "CFG-026", "downloads something and gives it to a shell"},
    {"behaviour-js-script-host", "execution", Severity::malicious, k_load, "CWE-506", k_atlas,
     "CFG-026", "a script of Windows that starts a program"},
    {"behaviour-js-file-theft", "theft", Severity::malicious, k_load, "CWE-506", "AML.T0055",
     "CNT-007", "reads credentials of the person who runs it and sends something"},
    {"behaviour-js-environment-theft", "theft", Severity::suspicious, k_load, "CWE-506",
     "AML.T0055", "CNT-007", "sends all variables of the environment"},
    {"behaviour-js-page-theft", "theft", Severity::suspicious, k_load, "CWE-79", k_atlas, "RTF-019",
     "sends cookies or what the page stores to another host"},
    {"behaviour-js-hidden-code", "execution", Severity::suspicious, k_load, "CWE-506", k_atlas,
     "CFG-026", "runs code that it decodes first"},
    {"behaviour-js-miner", "execution", Severity::malicious, k_load, "CWE-506", "AML.T0034",
     "CNT-008", "mines cryptocurrency in the browser"},
}};

Claim probe(const Probe& probe) {
  if (probe.head.empty()) return Claim::no;
  return as_text(probe.head).find('\0') == std::string_view::npos ? Claim::maybe : Claim::no;
}

// A word without which no rule holds.
bool may_matter(std::string_view text) {
  static constexpr std::array<std::string_view, 14> k_words{
      "child_process",   "activexobject", "createobject", "process.env", "readfile",
      "document.cookie", "localstorage",  "atob(",        "buffer.from", "unescape(",
      "coinhive",        "coinimp",       "cryptonight",  "cryptoloot"};
  static const WordStarts starts = [] {
    WordStarts out;
    for (const std::string_view word: k_words)
      out.add(word);
    return out;
  }();
  for (std::size_t at = starts.next(text, 0); at != text.npos; at = starts.next(text, at + 1))
    if (std::any_of(k_words.begin(), k_words.end(),
                    [&](std::string_view word) { return word_at(text, at, word); }))
      return true;
  return false;
}

// Lines, and long ones in pieces that overlap.
void read_lines(std::string_view text, behaviour::Unit& unit) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    for (std::size_t from = at; from < end;) {
      const std::size_t size = std::min(end - from, k_piece);
      unit.text(text.substr(from, size), static_cast<std::uint32_t>(from));
      from += size == end - from ? size : size - k_overlap;
    }
    at = end + 1;
  }
}

Reading scan(Source& source, Session& session) {
  std::string text;
  for (Bytes piece = source.some(0, k_step); !piece.empty();
       piece = source.some(text.size(), k_step)) {
    if (text.size() + piece.size() > k_max_text) {
      session.gap(Reason::budget, Reach::load, text.size(), "a longer script than is analysed",
                  k_names);
      return Reading::none;
    }
    text += as_text(piece);
  }
  if (text.find('\0') != std::string::npos || !may_matter(text)) return Reading::none;
  static const behaviour::RuleSet rules(std::span(&javascript::k_rule_file, 1));
  behaviour::Unit unit(behaviour::UnitKind::shell, rules);
  read_lines(text, unit);
  std::size_t found = 0;
  for (const behaviour::Hit& hit: unit.hits()) {
    const auto rule = std::find_if(k_rules.begin(), k_rules.end(),
                                   [&](const Rule& one) { return one.id == hit.rule->id; });
    if (rule == k_rules.end()) continue;
    ++found;
    std::string lines;
    for (const std::uint32_t offset: hit.offsets) {
      const std::string_view line = std::string_view(text).substr(offset);
      const std::string shown(line.substr(0, std::min(line.find('\n'), k_shown)));
      if (lines.find(shown) == std::string::npos) lines += (lines.empty() ? "" : " ; ") + shown;
    }
    session.find(*rule, hit.offsets.front(), 0, std::string(rule->meaning) + ": " + lines,
                 {.condition = k_names});
  }
  return found > 0 ? Reading::valid : Reading::none;
}

} // namespace

extern const Format format_javascript;
const Format format_javascript{.name = "javascript",
                               .family = "text",
                               .probe = probe,
                               .scan = scan,
                               .rules = k_rules,
                               .data_version = javascript::k_version,
                               .weak = true};

} // namespace hubgate
