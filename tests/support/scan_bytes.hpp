#pragma once
// For unit tests: scans bytes in this process with every format, and asks about the report.
#include "scanner/core/session.hpp"

#include <algorithm>
#include <string>

namespace hubgate::test {

inline Report scan_bytes(std::string_view bytes, const Limits& limits = {}) {
  MemorySource source(as_bytes(bytes));
  return scan_object(all_formats(), source, limits, nullptr);
}

inline const Finding* find_rule(const Report& report, std::string_view rule) {
  const auto at = std::find_if(report.findings.begin(), report.findings.end(),
                               [&](const Finding& finding) { return finding.rule == rule; });
  return at == report.findings.end() ? nullptr : &*at;
}

inline bool has_gap(const Report& report, Reason reason) {
  return std::any_of(report.gaps.begin(), report.gaps.end(),
                     [&](const Gap& gap) { return gap.reason == reason; });
}

/// The worst severity, or nothing if there is no finding above informational.
inline bool is_clean(const Report& report) {
  return report.complete() &&
         std::all_of(report.findings.begin(), report.findings.end(), [](const Finding& finding) {
           return finding.severity == Severity::informational;
         });
}

/// A report in one line, for failure messages.
inline std::string show(const Report& report) {
  std::string out = report.format + ":";
  for (const auto& finding: report.findings)
    out += " [" + std::string(to_string(finding.severity)) + " " + finding.rule + " " +
           finding.where + " " + finding.evidence + "]";
  for (const auto& gap: report.gaps)
    out += " {" + std::string(to_string(gap.reason)) + " " + gap.where + " " + gap.detail + "}";
  return out;
}

} // namespace hubgate::test
