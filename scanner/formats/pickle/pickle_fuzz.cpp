// Any bytes as a pickle: no crash, and what claims to be a pickle and breaks is never complete.
#include "scanner/core/session.hpp"

#include <array>
#include <cstdlib>

namespace hubgate {
extern const Format format_pickle;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static constexpr std::array<const hubgate::Format*, 1> k_table{&hubgate::format_pickle};
  hubgate::MemorySource source({data, size});
  hubgate::Limits limits;
  limits.cpu_seconds = 10;
  limits.findings = 100;
  const hubgate::Report report = hubgate::scan_object(k_table, source, limits, nullptr);
  for (const auto& gap: report.gaps)
    if (gap.reason == hubgate::Reason::crash) std::abort();
  return 0;
}
