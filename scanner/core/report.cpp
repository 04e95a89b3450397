#include "scanner/core/report.hpp"

#include "scanner/core/word_table.hpp"

#include <array>
#include <utility>

namespace hubgate {
namespace {

constexpr std::array<std::pair<Severity, std::string_view>, 3> k_severities{{
    {Severity::informational, "informational"},
    {Severity::suspicious, "suspicious"},
    {Severity::malicious, "malicious"},
}};

constexpr std::array<std::pair<Reach, std::string_view>, 2> k_reaches{{
    {Reach::load, "load"},
    {Reach::data, "data"},
}};

constexpr std::array<std::pair<Reason, std::string_view>, 10> k_reasons{{
    {Reason::truncated, "truncated"},
    {Reason::budget, "budget"},
    {Reason::crash, "crash"},
    {Reason::timeout, "timeout"},
    {Reason::out_of_memory, "out-of-memory"},
    {Reason::encrypted, "encrypted"},
    {Reason::unsupported, "unsupported"},
    {Reason::malformed, "malformed"},
    {Reason::opaque, "opaque"},
    {Reason::unreadable, "unreadable"},
}};

} // namespace

std::string_view to_string(Severity value) {
  return name_of(k_severities, value);
}
std::string_view to_string(Reach value) {
  return name_of(k_reaches, value);
}
std::string_view to_string(Reason value) {
  return name_of(k_reasons, value);
}

std::optional<Severity> severity_from(std::string_view text) {
  return value_of<Severity>(k_severities, text);
}
std::optional<Reach> reach_from(std::string_view text) {
  return value_of<Reach>(k_reaches, text);
}
std::optional<Reason> reason_from(std::string_view text) {
  return value_of<Reason>(k_reasons, text);
}

std::string_view engine_version() {
  return HUBGATE_VERSION;
}

} // namespace hubgate
