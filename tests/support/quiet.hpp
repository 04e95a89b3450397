#pragma once
// For tests of text formats: other formats judge the same text under other names, so a test asks
// about the rules of its own.
#include "tests/support/scan_bytes.hpp"

#include <initializer_list>

namespace hubgate::test {

/// Whether no finding above informational is of a rule with one of these prefixes, and no gap.
inline bool is_quiet(const Report& report, std::initializer_list<std::string_view> prefixes) {
  return report.complete() &&
         std::none_of(report.findings.begin(), report.findings.end(), [&](const Finding& finding) {
           return finding.severity != Severity::informational &&
                  std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view prefix) {
                    return finding.rule.starts_with(prefix);
                  });
         });
}

} // namespace hubgate::test
