#pragma once
// For tests of containers: a format that knows exactly the content that begins with "known:", so
// that a container around it can be clean, and a rule that fires on content with "evil" in it.
#include "scanner/core/session.hpp"
#include "tests/support/scan_bytes.hpp"

#include <array>
#include <initializer_list>
#include <vector>

namespace hubgate::test {

inline constexpr std::array<Rule, 1> k_known_rules{
    {{"known-evil", "test", Severity::malicious, Reach::load, "", "", "", "a test"}}};

inline Claim known_probe(const Probe& probe) {
  return starts_with(probe.head, "known:") ? Claim::yes : Claim::no;
}

inline Reading known_scan(Source& source, Session& session) {
  std::string text;
  for (std::uint64_t at = 0;;) {
    const Bytes piece = source.view(at, 4096);
    if (piece.empty()) break;
    at += piece.size();
    if (text.size() < 1 << 16) text += as_text(piece);
  }
  if (const auto at = text.find("evil"); at != std::string::npos)
    session.find(k_known_rules[0], at, 4, text.substr(at, 20));
  return Reading::valid;
}

inline const Format k_known_format{.name = "known",
                                   .family = "known",
                                   .probe = known_probe,
                                   .scan = known_scan,
                                   .rules = k_known_rules};

/// Scans with the formats given and the known content; nothing else can claim a byte.
inline Report scan_with(std::initializer_list<const Format*> formats, std::string_view bytes,
                        const Limits& limits = {}, ReportSink* sink = nullptr) {
  std::vector<const Format*> table(formats);
  table.push_back(&k_known_format);
  MemorySource source(as_bytes(bytes));
  return scan_object(table, source, limits, sink);
}

} // namespace hubgate::test
